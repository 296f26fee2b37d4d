"""Examples of every command, which its `--help` ends with."""

from collections.abc import Iterator

import typer

EXAMPLES: dict[str, tuple[str, ...]] = {
    "serve": ("harken serve", "harken serve --port 8080"),
    "migrate": ("harken migrate",),
    "feed": (
        "harken feed axioms --ranking weighted --explain",
        "harken feed personal --user-id ada --json",
    ),
    "kblocks show": ("harken kblocks show every-order-is-a-choice",),
    "kblocks list": ("harken kblocks list --tag git --limit 5",),
    "kblocks search": (
        "harken kblocks search git hooks",
        "harken kblocks search --author Ines -- '\"a phrase\" begin* -without'",
    ),
    "kblocks delete": ("harken kblocks delete one two --yes",),
    "similar": ("harken similar every-order-is-a-choice --limit 3",),
    "feeds": ("harken feeds --json",),
    "feeds put": ("harken feeds put short-notes feed.json",),
    "feeds delete": ("harken feeds delete short-notes",),
    "sources list": ("harken sources list",),
    "sources add": ("harken sources add https://example.org",),
    "sources remove": ("harken sources remove 0123456789abcdef",),
    "sources refresh": ("harken sources refresh", "harken sources refresh 0123456789abcdef"),
    "sources import": ("harken sources import subscriptions.opml",),
    "sources export": ("harken sources export sources.opml --force",),
    "user preferences": (
        "harken user preferences ada",
        """harken user preferences ada --set '{"muted_tags": ["politics"]}'""",
    ),
    "user profile": ("harken user profile ada",),
    "user reset": ("harken user reset ada",),
    "user export": ("harken user export ada --output ada.json",),
    "user erase": ("harken user erase ada --dry-run", "harken user erase ada --yes"),
    "user readmit": ("harken user readmit ada",),
    "kblock erase": ("harken kblock erase one --dry-run", "harken kblock erase one --yes"),
    "kblock readmit": ("harken kblock readmit one",),
    "record": (
        "harken record ada one view --dwell-time-ms 5000",
        "harken record ada one engage --interaction-type like",
    ),
    "analytics": ("harken analytics --limit 5",),
    "import markdown": ("harken import markdown notes --dry-run", "harken import markdown notes"),
    "import rss": ("harken import rss https://example.org/feed.xml",),
    "import jsonl": ("harken import jsonl posts.jsonl",),
    "import interactions": (
        "harken import interactions events.csv.gz --dry-run",
        "harken import interactions events.csv --column user_id=person --timezone UTC",
    ),
    "export": (
        "harken export log.jsonl.gz",
        "harken export log.parquet --since 2026-01-01 --force",
    ),
    "consume": (
        "harken consume nats://localhost:4222 --create",
        "harken consume kafka://one:9092,two:9092 --subject events --until-empty",
    ),
    "archive": (
        "harken archive --days 365 --dry-run",
        "harken archive --before 2026-01-01 --out old-events",
    ),
    "events": ("harken events --limit 10", "harken events --after CURSOR --follow"),
    "evaluate replay": ("harken evaluate replay --events log.jsonl.gz",),
    "evaluate policy": ("harken evaluate policy --from-slates --temperature 0.05",),
    "detect": ("harken detect", "harken detect --events log.csv"),
    "train": ("harken train --promote",),
    "models list": ("harken models list",),
    "models show": ("harken models show 019b4fa3",),
    "models promote": ("harken models promote 019b4fa3",),
    "models rollback": ("harken models rollback",),
    "models export": ("harken models export 019b4fa3 best.model",),
    "models import": ("harken models import best.model",),
    "models trial": ("harken models trial 019b4fa3 --share 0.2",),
    "report": ("harken report", "harken report --html report.html"),
    "experiment list": ("harken experiment list",),
    "experiment create": ("harken experiment create experiment.json",),
    "experiment allocate": ("harken experiment allocate order",),
    "experiment start": ("harken experiment start order",),
    "experiment stop": ("harken experiment stop order --reason 'long enough'",),
    "experiment decide": ("harken experiment decide order personal",),
    "experiment status": ("harken experiment status order",),
    "experiment results": ("harken experiment results order --plot effect.svg",),
    "experiment power": ("harken experiment power order --effect 0.02",),
    "quarantine list": ("harken quarantine list",),
    "quarantine add": ("harken quarantine add reader bot-1 bot-2 --reason 'all within 2 s'",),
    "quarantine release": ("harken quarantine release reader bot-1 --reason 'a person'",),
    "verify": ("harken verify",),
    "rebuild": ("harken rebuild", "harken rebuild --search"),
    "backup": ("harken backup backups/monday.db",),
    "keys create": ("harken keys create importer --scope items --expires 90d",),
    "keys list": ("harken keys list",),
    "keys rotate": ("harken keys rotate abc123def456 --grace 24h",),
    "keys revoke": ("harken keys revoke abc123def456",),
    "keys token": (
        "harken keys token ada --expires 15min",
        "harken keys token ada --link --url https://feeds.example.org",
    ),
    "config check": ("harken config check", "harken config check --set --json"),
    "demo": ("harken demo", "harken demo --days 2 --readers 20 --no-serve"),
}


def add_examples(app: typer.Typer, before: str = "") -> None:
    """Let the help of each command end with its examples."""
    for name, command in _commands(app):
        if found := EXAMPLES.get(f"{before}{name}"):
            command.epilog = "\n\n".join(["Examples:" if found[1:] else "Example:", *found])
    for group in app.registered_groups:
        if group.typer_instance is not None:
            inside = f"{before}{group.name}"
            if group.typer_instance.registered_callback and (found := EXAMPLES.get(inside)):
                group.epilog = f"Example: {found[0]}"
            add_examples(group.typer_instance, f"{inside} ")


def _commands(app: typer.Typer) -> Iterator[tuple[str, typer.models.CommandInfo]]:
    for command in app.registered_commands:
        own = command.callback.__name__ if command.callback is not None else ""
        yield command.name or own.replace("_", "-"), command
