"""`harken demo`."""

import contextlib
import errno
import os
import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import harken
from harken.config import PREFIX, Settings
from harken.errors import InvalidInput, Problem
from harken.protocols.cli.data_commands.imports import INTERRUPTED
from harken.protocols.cli.running import Json, console, messages, print_json, with_session_factory
from harken.protocols.cli.server import serve
from harken.protocols.cli.tables import add_intervals, add_names, interval, make_table, print_table
from harken.services.learning.ranker import RankerSettings
from harken.services.registry.reporting import write_report
from harken.services.simulation.demo import Demo, DemoSettings, open_demo
from harken.services.simulation.demo_database import check_demo_database
from harken.services.simulation.ground_truth import FEEDS, METRICS, Estimate, Floats, estimate
from harken.services.simulation.model_training import train_demo_model
from harken.services.simulation.readers import SimulatedReader

BANNER = "A demo: its readers are simulated, and so are most of its K-Blocks."
BASELINE, BEST, LEARNED = "chronological", "personal", "learned"
DECIDING = METRICS[1]
MOST_LIKED = 4
CLEARLY = 1.0  # what a tag adds, in log-odds
TITLES = {"relevance": "Relevance", "ndcg@10": "NDCG@10"}


_DEFAULTS = DemoSettings()


def install(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(demo)


def demo(
    days: Annotated[
        int, typer.Option(min=1, max=28, help="How many days are played.")
    ] = _DEFAULTS.days,
    readers: Annotated[
        int, typer.Option(min=2, max=1_000, help="How many readers there are.")
    ] = _DEFAULTS.readers,
    kblocks: Annotated[
        int, typer.Option(min=20, max=20_000, help="How many simulated K-Blocks there are.")
    ] = _DEFAULTS.kblocks,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="What chance draws with.")
    ] = _DEFAULTS.seed,
    database: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="SQLite file to fill, new or a demo's; else a temporary one, never the configured "
            "database.",
        ),
    ] = None,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Do not serve it then.")] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Overrides HARKEN_PORT.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Watch a feed learn: simulated readers use it for some days in fast motion; then serve it.

    Says how good the feeds were for these readers on the first day and on the last, which can be
    told exactly, since what they like is known. An interrupted demo goes on with the same
    --database; one that is over is served again as it is.
    """
    settings = DemoSettings(days=days, readers=readers, kblocks=kblocks, seed=seed)
    if not no_serve:
        port = _port(port)
    if database is not None:
        _run(settings, database, port, serving=not no_serve, as_json=as_json)
        return
    folder = Path(tempfile.mkdtemp(prefix="harken-demo-"))
    _run(settings, folder / "demo.db", port, serving=not no_serve, as_json=as_json)
    if not no_serve:
        shutil.rmtree(folder, ignore_errors=True)


def _run(
    settings: DemoSettings, path: Path, port: int | None, *, serving: bool, as_json: bool
) -> None:
    check_demo_database(path)
    messages.print(BANNER)
    with _configured(path):
        try:
            played = _play(settings, path)
        except KeyboardInterrupt:
            messages.print(f"Interrupted. To go on: harken demo --database {path}")
            raise typer.Exit(INTERRUPTED) from None
        if as_json:
            print_json(_described(played, path))
        else:
            _print(played, path)
        if serving:
            _print_address(played, port or 0)
            serve(port=port)
        else:
            messages.print(f"To look at it: harken demo --database {path}", highlight=False)


def _port(wanted: int | None) -> int:
    """Return where to serve, before anything is played: another port where ours is taken.

    Raises InvalidInput where one that was asked for is taken.
    """
    settings = Settings.load()
    port = settings.port if wanted is None else wanted
    if _is_free(settings.host, port):
        return port
    if wanted is not None:
        raise InvalidInput(Problem("port", f"{port} is in use; 0 takes one that is free"))
    messages.print(f"Port {port} is in use; the demo takes one that is free.")
    return 0


def _is_free(host: str, port: int) -> bool:
    try:
        socket.create_server((host, port), reuse_port=False).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise InvalidInput(Problem("host", f"{host}: {error.strerror}")) from None
    return True


@contextlib.contextmanager
def _configured(path: Path) -> Iterator[None]:
    """Have the demo's database be the configured one, for what runs inside."""
    demos = {
        "DATABASE_URL": f"sqlite+aiosqlite:///{path.absolute()}",
        "DATABASE_SCHEMA": None,
        "NOTICE": BANNER,
    }
    before = {name: os.environ.get(PREFIX + name) for name in demos}
    try:
        _set(demos)
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(PREFIX + name, None)
        else:
            os.environ[PREFIX + name] = value


def _play(settings: DemoSettings, path: Path) -> Demo:
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=messages, disable=not messages.is_terminal,
    )  # fmt: skip

    async def work(session_factory: Any) -> Demo:
        demo = await open_demo(session_factory, settings, datetime.now(UTC))
        if demo.state.settings != settings:
            messages.print(f"{path} has a demo with other settings, which goes on with these.")
        with bar:
            await demo.run(_shown_by(bar, "Visits"), (partial(_teach, bar=bar), _report))
        return demo

    return with_session_factory(work)


async def _teach(played: Demo, bar: Progress) -> None:
    await train_demo_model(played, _shown_by(bar, "Training"))


async def _report(played: Demo) -> None:
    await write_report(played.service.registry, datetime.now(UTC), harken.__version__)


def _shown_by(bar: Progress, what: str) -> Callable[[int, int], None]:
    task = bar.add_task(what, total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


def _described(played: Demo, path: Path) -> dict[str, Any]:
    first, last = _days(played)
    return {
        "simulated": True,
        "database": str(path),
        "settings": played.state.settings.model_dump(),
        "ends": played.state.ends,
        "first_day": {name: _as_json(estimate(rows)) for name, rows in first.items()},
        "last_day": {name: _as_json(estimate(rows)) for name, rows in last.items()},
        "difference": {
            "of": BEST, "to": BASELINE, "on": "last_day",
            **_as_json(estimate(last[BEST] - last[BASELINE])),
        },
        "model": _lesson(played),
        "look_as": _most_improved(played).user_id,
        "readers": [
            {"user_id": each.user_id, "cluster": each.cluster, "takes_to": _liked(each, played)}
            for each in played.world.readers
        ],
    }  # fmt: skip


def _lesson(played: Demo) -> dict[str, Any] | None:
    """Say what became of the model, and what all are worth as the last day ends if it serves."""
    lesson = played.state.lesson
    if lesson is None:
        return None
    told = lesson.model_dump()
    if lesson.in_service:
        ended = _as_it_ended(played)
        told["at_the_end"] = {name: _as_json(estimate(rows)) for name, rows in ended.items()}
        told["difference"] = {
            "of": LEARNED, "to": BEST, **_as_json(estimate(ended[LEARNED] - ended[BEST])),
        }  # fmt: skip
    return told


def _as_json(found: dict[str, Estimate]) -> dict[str, Any]:
    return {
        name: {"value": round(value, 4), "interval": [round(each, 4) for each in interval]}
        for name, (value, interval) in found.items()
    }


def _days(played: Demo) -> tuple[dict[str, Floats], dict[str, Floats]]:
    state = played.state
    return state.mean(state.first_hours), state.mean(state.last_hours)


def _as_it_ended(played: Demo) -> dict[str, Floats]:
    return played.state.mean(played.state.last_hours[-1:])


def _print(played: Demo, path: Path) -> None:
    first, last = _days(played)
    table = make_table("What the first ten items are worth to simulated readers")
    add_names(table, "Feed")
    for title in TITLES.values():
        add_intervals(table, f"{title},\nfirst day", "\nlast day")
    for name in FEEDS:
        before, after = estimate(first[name]), estimate(last[name])
        cells = [_cell(day[metric]) for metric in METRICS for day in (before, after)]
        table.add_row(name.capitalize(), *cells)
    print_table(table)
    _print_difference(last, BEST, BASELINE, "last day")
    _print_lesson(played)
    console.print(
        "Intervals are of 95 %, over readers. These readers are simulated: what a feed is worth to "
        "people, only people can tell."
    )
    console.print(f"The database: {path}", highlight=False)


def _print_difference(found: dict[str, Floats], of: str, to: str, when: str) -> None:
    value, (low, high) = estimate(found[of] - found[to])[DECIDING]
    console.print(
        f"{of.capitalize()} less {to}, {when}, {TITLES[DECIDING]}: {value:+.3f} "
        f"({interval(low, high, '+.3f')}, paired)."
    )


def _print_lesson(played: Demo) -> None:
    lesson = played.state.lesson
    if lesson is None:
        return
    if lesson.model_id is None:
        console.print(f"No model was trained: {escape(lesson.reason)}.", highlight=False)
        return
    fewest = RankerSettings.fewest
    asks = f" ({fewest:,} is what `harken train` asks for)" if lesson.examples < fewest else ""
    state = "in service" if lesson.in_service else "kept, and not in service"
    console.print(
        f"The model {lesson.model_id} learned from {lesson.examples} choices{asks}. "
        f"On the last day, which it never saw, it was {lesson.reason}. It is {state}.",
        highlight=False,
    )
    if lesson.in_service:
        ended = _as_it_ended(played)
        values = (
            f"{name} {estimate(ended[name])[DECIDING].value:.3f}"
            for name in (BASELINE, BEST, LEARNED)
        )
        console.print(f"{TITLES[DECIDING]} by the truth, as it ended: {', '.join(values)}.")
        _print_difference(ended, LEARNED, BEST, "as it ended")


def _cell(found: Estimate) -> str:
    value, (low, high) = found
    return f"{value:.3f}\n[dim]{interval(low, high)}[/]"


def _print_address(played: Demo, port: int) -> None:
    settings, reader = Settings.load(), _most_improved(played)
    base = f"http://{settings.host}:{port}" if port else ""  # one that is free is said below
    lesson, address = played.state.lesson, f"{base}/?feed={BEST}&user={reader.user_id}"
    messages.print(
        f"Look as {reader.user_id}, who takes to {', '.join(_liked(reader, played))}: {address}",
        highlight=False,
    )
    if lesson is not None and lesson.in_service:
        messages.print(f"In the learned order: {address}&ranking={LEARNED}", highlight=False)


def _most_improved(played: Demo) -> SimulatedReader:
    """Return the reader to whom the personal feed gives most on the last day."""
    _, last = _days(played)
    gained = (last[BEST] - last[BASELINE])[:, METRICS.index(DECIDING)]
    return played.world.readers[int(gained.argmax())]


def _liked(reader: SimulatedReader, played: Demo) -> list[str]:
    """Return some tags that a reader takes to, the most common ones first."""
    common = Counter(tag for kblock in played.world.kblocks for tag in kblock.tags)
    tags = reader.tastes.tags
    found = [tag for tag, _ in common.most_common() if tags.get(tag, 0.0) > CLEARLY]
    return found[:MOST_LIKED]
