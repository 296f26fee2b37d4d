"""The list of commands: the help of each, and the modules that are imported when it runs.

`harken --help` and the completion of names import none of these modules, because they import
NumPy, SQLAlchemy and most of the services.
"""

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from harken.garbage import collector_paused
from harken.protocols.cli.examples import add_examples

NICENESS = 10
"""The niceness of commands that give way, from 0 to 19, the least urgent."""


class Listed(NamedTuple):
    """A command: the first paragraph of its help, and its modules, of which the first comes first.

    Each module has a function `install`, which adds its commands to a Typer application.
    `gives_way` says that it computes for long beside servers, which wait for nothing of it.
    """

    help: str
    modules: tuple[str, ...]
    gives_way: bool = False


_SERVER = ("server",)
_UPKEEP = ("data_commands.upkeep",)
_EVENTS = ("data_commands.events",)
_LOGS = ("data_commands.imports", "data_commands.logs")
_READERS = ("feed_commands.users", "feed_commands.privacy")
_REGISTRY = ("model_commands.registry",)

COMMANDS: Mapping[str, Listed] = {
    "serve": Listed(
        "Serve REST and the pages. SQLite is migrated first; PostgreSQL must be migrated already.",
        _SERVER,
    ),
    "migrate": Listed("Migrate the database to the newest schema.", _SERVER),
    "feed": Listed(
        "Show a page of a feed. The page is recorded as a slate, as one over REST is.",
        ("feed_commands.feed",),
    ),
    "similar": Listed(
        "Show the K-Blocks that are most similar to one. The list is recorded as a slate.",
        ("feed_commands.similar",),
    ),
    "record": Listed("Record one event: what a reader did with a K-Block.", _EVENTS),
    "analytics": Listed(
        "Show the most engaged K-Blocks, totals, and the activity of the last 24 hours.", _EVENTS
    ),
    "export": Listed(
        "Write the log to a file that can be imported: a consistent snapshot, in order of time.",
        _LOGS,
        gives_way=True,
    ),
    "events": Listed(
        "Print the events of the log as JSON lines, in the order in which they were committed.",
        ("data_commands.following",),
    ),
    "consume": Listed(
        "Record the events of a NATS or Kafka stream, each once, until Ctrl-C or SIGTERM.",
        ("data_commands.consuming",),
    ),
    "detect": Listed(
        "Find readers who are not people in a log, or unusual volume in a series of counts.",
        ("detect",),
        gives_way=True,
    ),
    "train": Listed(
        "Train the learned ranking on the log of the configured database, and store the model.",
        _REGISTRY,
        gives_way=True,
    ),
    "report": Listed(
        "Report week by week whether the feed is getting better, and store the report.",
        ("model_commands.report",),
        gives_way=True,
    ),
    "verify": Listed(
        "Recount the log and compare all statistics with it, "
        "and the search index with the K-Blocks.",
        _UPKEEP,
        gives_way=True,
    ),
    "archive": Listed(
        "Take old events out of the log, to Parquet files. Statistics do not change.",
        ("data_commands.archive",),
        gives_way=True,
    ),
    "rebuild": Listed(
        "Rebuild all statistics from the log, with the half-lives of HARKEN_HALF_LIVES.", _UPKEEP
    ),
    "backup": Listed(
        "Copy the SQLite database to a file while servers use it, and verify the copy.",
        ("data_commands.backup",),
    ),
    "demo": Listed(
        "Simulate readers who use a feed for some days, measure how it improves, and serve it.",
        ("demo",),
    ),
    "kblocks": Listed("Show, list, search and delete K-Blocks.", ("feed_commands.kblocks",)),
    "sources": Listed(
        "Feeds on the web that are subscribed to; `serve` refreshes them.",
        ("feed_commands.sources",),
    ),
    "feeds": Listed(
        "List all feeds; store and delete feeds of your own.", ("feed_commands.stored",)
    ),
    "user": Listed(
        "Preferences and profile of a reader; export and erase what is held on them.", _READERS
    ),
    "kblock": Listed("Erase the log of a K-Block.", _READERS),
    "import": Listed("Import K-Blocks and events from other systems.", _LOGS, gives_way=True),
    "evaluate": Listed(
        "Measure the quality of rankings.", ("model_commands.evaluate",), gives_way=True
    ),
    "models": Listed("List, show, promote and roll back models of the learned ranking.", _REGISTRY),
    "experiment": Listed(
        "Compare rankings on readers: create, start, stop and decide experiments.",
        ("experiments",),
    ),
    "keys": Listed(
        "Make, list, replace and revoke API keys; sign user tokens and links for readers.",
        ("keys",),
    ),
    "quarantine": Listed(
        "Set readers, sessions or events aside, so that they count nothing.",
        ("integrity_commands.quarantine",),
    ),
    "config": Listed("Check the settings.", ("configuration",)),
}


def give_way(arguments: Sequence[str]) -> None:
    """Lower the priority of this process if it runs a command that servers should not wait for."""
    listed = COMMANDS.get(arguments[0]) if arguments else None
    if listed is not None and listed.gives_way and hasattr(os, "nice"):  # not on Windows
        os.nice(max(NICENESS - os.nice(0), 0))


class CommandList(TyperGroup):
    """The group of `COMMANDS`, each of which is loaded when it is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {
            name: TyperCommand(name, help=listed.help, short_help=listed.help)
            for name, listed in COMMANDS.items()
        }

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the list as plain text, as Click does.

        Typer draws boxes, with parts of Rich that take longer to import than all else.
        """
        super(TyperGroup, self).format_help(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that arguments begin with, which has its options now."""
        if args and args[0] in COMMANDS:
            self.load(args[0])
        return super().resolve_command(ctx, args)

    def load(self, name: str) -> Any:
        """Import a command's modules, and return the command."""
        app = typer.Typer()
        with collector_paused():
            for module in COMMANDS[name].modules:
                import_module(f"{__package__}.{module}").install(app)
        add_examples(app)
        self.commands.update(typer.main.get_group(app).commands)
        return self.commands[name]
