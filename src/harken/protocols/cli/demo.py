"""`harken demo`."""

import contextlib
import os
import shutil
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
from harken.config import Settings
from harken.errors import InvalidInput, Problem
from harken.protocols.cli.data_commands.imports import INTERRUPTED
from harken.protocols.cli.running import Json, console, messages, print_json, with_session_factory
from harken.protocols.cli.server import is_free, serve
from harken.protocols.cli.tables import add_intervals, add_names, interval, make_table, print_table
from harken.services.registry.reporting import write_report
from harken.services.simulation.demo import Demo, DemoSettings, open_demo
from harken.services.simulation.demo_database import check_demo_database
from harken.services.simulation.ground_truth import (
    DECIDING,
    FEEDS,
    METRICS,
    Estimate,
    Floats,
    estimate,
)
from harken.services.simulation.model_training import train_demo_model
from harken.services.simulation.readers import SimulatedReader
from harken.setting_names import PREFIX

BANNER = "A demo: its readers are simulated, and so are most of its K-Blocks."
BASELINE, BEST, LEARNED = "chronological", "personal", "learned"
MOST_LIKED = 4
STRONG_TASTE = 1.0  # least effect of a liked tag, in log-odds
TITLES = {"relevance": "Relevance", "ndcg@10": "NDCG@10"}
_BY_TRUTH = {
    "better": ": by the true tastes it is better than the personal order",
    "worse": ": by the true tastes it is worse than the personal order",
    "not_known": ": by the true tastes it is neither better nor worse than the personal order, as "
    "far as these readers can tell",
    None: "",
}

_DEFAULTS = DemoSettings()


def install(app: typer.Typer) -> None:
    """Add the command `demo`."""
    app.command()(demo)


def demo(
    days: Annotated[
        int, typer.Option(min=1, max=28, help="Number of simulated days.")
    ] = _DEFAULTS.days,
    readers: Annotated[
        int, typer.Option(min=2, max=1_000, help="Number of simulated readers.")
    ] = _DEFAULTS.readers,
    kblocks: Annotated[
        int, typer.Option(min=20, max=20_000, help="Number of simulated K-Blocks.")
    ] = _DEFAULTS.kblocks,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Seed of the random numbers.")
    ] = _DEFAULTS.seed,
    database: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The SQLite file of the demo, new or of an earlier one; default: a temporary one. "
            "The configured database is never changed.",
        ),
    ] = None,
    no_serve: Annotated[
        bool, typer.Option("--no-serve", help="Do not serve the feed afterwards.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Overrides HARKEN_PORT.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Simulate readers who use a feed for some days, measure how it improves, and serve it.

    Compares the quality of the feeds for these readers on the first and the last day; it can be
    computed, because the tastes of simulated readers are known. To continue an interrupted demo,
    repeat the same --database; a completed demo is served as it is.
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
            messages.print(f"Interrupted. To continue: harken demo --database {path}")
            raise typer.Exit(INTERRUPTED) from None
        if as_json:
            print_json(_as_dict(played, path))
        else:
            _print(played, path)
        if serving:
            _print_address(played, port or 0)
            serve(port=port)
        else:
            messages.print(f"To serve it: harken demo --database {path}", highlight=False)


def _port(requested: int | None) -> int:
    """Return the port to serve on, before the simulation runs; 0 if the default port is in use.

    Raises InvalidInput if the requested port is in use.
    """
    settings = Settings.load()
    port = settings.port if requested is None else requested
    if is_free(settings.host, port):
        return port
    if requested is not None:
        raise InvalidInput(Problem("port", f"{port} is in use; use 0 for a free port"))
    messages.print(f"Port {port} is in use; the demo uses a free port instead.")
    return 0


@contextlib.contextmanager
def _configured(path: Path) -> Iterator[None]:
    """Set the environment variables to the demo's database within the context."""
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
            messages.print(f"{path} has a demo with other settings; it continues with those.")
        with bar:
            await demo.run(_progress(bar, "Visits"), (partial(_train, bar=bar), _report))
        return demo

    return with_session_factory(work)


async def _train(played: Demo, bar: Progress) -> None:
    await train_demo_model(played, _progress(bar, "Training"))


async def _report(played: Demo) -> None:
    await write_report(played.service.registry, datetime.now(UTC), harken.__version__)


def _progress(bar: Progress, what: str) -> Callable[[int, int], None]:
    task = bar.add_task(what, total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


def _as_dict(played: Demo, path: Path) -> dict[str, Any]:
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
        "model": _model_result(played),
        "look_as": _most_improved(played).user_id,
        "readers": [
            {"user_id": each.user_id, "cluster": each.cluster, "takes_to": _liked(each, played)}
            for each in played.world.readers
        ],
    }  # fmt: skip


def _model_result(played: Demo) -> dict[str, Any] | None:
    """Return the result of training, and the quality of all rankings at the end of the last day."""
    lesson = played.state.lesson
    if lesson is None:
        return None
    result = lesson.model_dump()
    at_end = _last_hour(played)
    if LEARNED in at_end:
        result["at_the_end"] = {name: _as_json(estimate(rows)) for name, rows in at_end.items()}
        result["difference"] = {
            "of": LEARNED, "to": BEST, **_as_json(estimate(at_end[LEARNED] - at_end[BEST])),
        }  # fmt: skip
    return result


def _as_json(found: dict[str, Estimate]) -> dict[str, Any]:
    return {
        name: {"value": round(value, 4), "interval": [round(each, 4) for each in interval]}
        for name, (value, interval) in found.items()
    }


def _days(played: Demo) -> tuple[dict[str, Floats], dict[str, Floats]]:
    state = played.state
    return state.mean(state.first_hours), state.mean(state.last_hours)


def _last_hour(played: Demo) -> dict[str, Floats]:
    return played.state.mean(played.state.last_hours[-1:])


def _print(played: Demo, path: Path) -> None:
    first, last = _days(played)
    table = make_table("Quality of the first ten items for simulated readers")
    add_names(table, "Feed")
    for title in TITLES.values():
        add_intervals(table, f"{title},\nfirst day", "\nlast day")
    for name in FEEDS:
        before, after = estimate(first[name]), estimate(last[name])
        cells = [_cell(day[metric]) for metric in METRICS for day in (before, after)]
        table.add_row(name.capitalize(), *cells)
    print_table(table)
    _print_difference(last, BEST, BASELINE, "last day")
    _print_model_result(played)
    console.print(
        "Intervals are 95 %, over readers. These readers are simulated: only people can judge a "
        "feed for people."
    )
    console.print(f"Database: {path}", highlight=False)


def _print_difference(found: dict[str, Floats], of: str, to: str, when: str) -> None:
    value, (low, high) = estimate(found[of] - found[to])[DECIDING]
    console.print(
        f"{of.capitalize()} minus {to}, {when}, {TITLES[DECIDING]}: {value:+.3f} "
        f"({interval(low, high, '+.3f')}, paired)."
    )


def _print_model_result(played: Demo) -> None:
    lesson = played.state.lesson
    if lesson is None:
        return
    if lesson.model_id is None:
        console.print(f"No model was trained: {escape(lesson.reason)}.", highlight=False)
        return
    console.print(
        f"The model {lesson.model_id} learned from {lesson.examples} choices. "
        f"It is {'' if lesson.in_service else 'not '}in service{_BY_TRUTH[lesson.by_truth]}.",
        highlight=False,
    )
    at_end = _last_hour(played)
    values = (
        f"{name} {estimate(at_end[name])[DECIDING].value:.3f}" for name in (BASELINE, BEST, LEARNED)
    )
    console.print(f"{TITLES[DECIDING]} from the true tastes, at the end: {', '.join(values)}.")
    _print_difference(at_end, LEARNED, BEST, "at the end")
    console.print(
        f"By the log of the last day, which was held out, it was {lesson.reason}. Such a log "
        "favours the order that readers saw: they could not choose what it left out.",
        highlight=False,
    )


def _cell(found: Estimate) -> str:
    value, (low, high) = found
    return f"{value:.3f}\n[dim]{interval(low, high)}[/]"


def _print_address(played: Demo, port: int) -> None:
    settings, reader = Settings.load(), _most_improved(played)
    base = f"http://{settings.host}:{port}" if port else ""  # the server prints a free port
    lesson, address = played.state.lesson, f"{base}/?feed={BEST}&user={reader.user_id}"
    messages.print(
        f"Read as {reader.user_id}, who likes {', '.join(_liked(reader, played))}: {address}",
        highlight=False,
    )
    if lesson is not None and lesson.in_service:
        messages.print(f"With the learned ranking: {address}&ranking={LEARNED}", highlight=False)


def _most_improved(played: Demo) -> SimulatedReader:
    """Return the reader for whom the personal feed improves most on the chronological one."""
    _, last = _days(played)
    gained = (last[BEST] - last[BASELINE])[:, METRICS.index(DECIDING)]
    return played.world.readers[int(gained.argmax())]


def _liked(reader: SimulatedReader, played: Demo) -> list[str]:
    """Return up to `MOST_LIKED` tags that a reader likes, the most common ones first."""
    common = Counter(tag for kblock in played.world.kblocks for tag in kblock.tags)
    tags = reader.tastes.tags
    found = [tag for tag, _ in common.most_common() if tags.get(tag, 0.0) > STRONG_TASTE]
    return found[:MOST_LIKED]
