"""`harken evaluate`."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from harken.domain.durations import parse_duration
from harken.domain.feedback import Interaction
from harken.errors import InvalidInput, Problem, several
from harken.protocols.cli.data_commands.log_options import (
    Actions,
    AsWritten,
    Columns,
    Delimiter,
    Encoding,
    Format,
    LogFile,
    MaxSize,
    Timezone,
    bar_of_bytes,
)
from harken.protocols.cli.data_commands.logs import aware, print_reading
from harken.protocols.cli.model_commands import policy
from harken.protocols.cli.progress import progress
from harken.protocols.cli.running import TIME_FORMATS, Json, console, print_json, with_persistence
from harken.protocols.cli.tables import (
    add_intervals,
    add_names,
    add_numbers,
    add_text,
    interval,
    make_table,
    print_table,
)
from harken.services.evaluation.intervals import Interval
from harken.services.evaluation.metrics import (
    METRICS,
    Comparison,
    Evaluation,
    Metrics,
    evaluate,
)
from harken.services.evaluation.rankings import RANKERS, Options, Ranker, make_rankers
from harken.services.evaluation.replay import Outcome, replay
from harken.services.learning.impressions import Event
from harken.services.readers.history import MICROS, Touch
from harken.services.record.files.files import Reading
from harken.services.record.files.log_reader import ImportSummary, LogReader
from harken.services.record.files.mapping import LogMapping
from harken.services.record.persistence import FeedFeedbackPersistence

READ = ("refused", "refusals", "reasons", "notes", "remarks")
DEFAULT = "chronological,popularity,trending,personal"

evaluations = typer.Typer(no_args_is_help=True, help="Measure the quality of rankings.")


def install(app: typer.Typer) -> None:
    """Add the group `evaluate`."""
    evaluations.command("policy")(policy.evaluate)
    app.add_typer(evaluations, name="evaluate")


@evaluations.callback()
def _group() -> None:
    """Measure the quality of rankings."""


@evaluations.command("replay")
def evaluate_replay(
    events: LogFile = None,
    from_log: Annotated[
        bool, typer.Option("--from-log", help="Use the log of the configured database.")
    ] = False,
    ranking: Annotated[
        str,
        typer.Option(
            # A default without spaces would be cut to the width of the column.
            help=f"One or more of {', '.join(RANKERS)}; separated by commas. "
            f"Default: {', '.join(DEFAULT.split(','))}.",
            show_default=False,
        ),
    ] = DEFAULT,
    score_from: Annotated[
        datetime | None,
        typer.Option(
            formats=TIME_FORMATS,
            help="Learn from the events before this time (UTC), and score those from it on.",
        ),
    ] = None,
    half_life: Annotated[
        str, typer.Option(help="Half-life of the trending ranking, such as 6h.")
    ] = "6h",
    retrain_every: Annotated[
        str, typer.Option(help="How often the learned ranking is retrained, such as 7d.")
    ] = "7d",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap of the intervals.")] = 0,
    column: Columns = None,
    action: Actions = None,
    timezone: Timezone = None,
    as_written: AsWritten = False,
    format_name: Format = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    max_size: MaxSize = None,
    as_json: Json = False,
) -> None:
    """Replay a log in order of time, and measure how well rankings predict each choice.

    Columns and values are read as by `harken import interactions`. Exit code 1 if lines were
    refused; all others are used.
    """
    if (events is None) != from_log:
        raise InvalidInput(Problem("events", "give either --events FILE or --from-log"))
    names = [name.strip() for name in ranking.split(",") if name.strip()]
    options = Options(
        parse_duration("half_life", half_life), parse_duration("retrain_every", retrain_every)
    )
    rankers = make_rankers(list(dict.fromkeys(names)), options)
    summary = ImportSummary()
    if events is None:
        log = with_persistence(_load_log)
    else:
        mapping = LogMapping.parse(column or (), action or (), timezone, as_written=as_written)
        reader = LogReader(mapping, _timed)
        log = _read(reader, events, Reading.parse(format_name, delimiter, encoding, max_size))
        summary = reader.summary
    since = None if score_from is None else round(aware(score_from).timestamp() * MICROS)
    found = evaluate(_replay(log, rankers, since), seed)
    if as_json:
        read = {name: getattr(summary, name) for name in READ}
        print_json({"score_from": score_from and aware(score_from), **found.as_json(), **read})
    else:
        print_reading(summary)
        _print(found)
    raise typer.Exit(1 if summary.refused else 0)


def _timed(interaction: Interaction) -> Interaction:
    if interaction.occurred_at is None:
        raise InvalidInput(Problem("occurred_at", "is required to replay an event"))
    return interaction


def _read(reader: LogReader, file: Path, reading: Reading) -> list[Event]:
    bar = bar_of_bytes(file)
    with bar:
        task = bar.add_task("")
        chunks = reader.chunks(
            file, reading, lambda done, size: bar.update(task, completed=done, total=size)
        )
        return [_event(each) for chunk in chunks for _, each in chunk.events]


def _event(interaction: Interaction) -> Event:
    at = (
        0
        if interaction.occurred_at is None
        else round(interaction.occurred_at.timestamp() * MICROS)
    )
    touch = Touch(
        interaction.user_id,
        interaction.kblock_id,
        interaction.action,
        interaction.interaction_type,
        interaction.dwell_time_ms,
        at,
    )
    return Event(touch, interaction.session_id)


async def _load_log(persistence: FeedFeedbackPersistence) -> list[Event]:
    return [
        Event(Touch.of(entry), entry.session_id)
        async for page in persistence.entries(counting=True)
        for entry in page
    ]


def _replay(log: list[Event], rankers: dict[str, Ranker], since: int | None) -> Outcome:
    with progress("Replay", len(log)) as report:
        return replay(log, rankers, since, report)


def _print(found: Evaluation) -> None:
    console.print(
        f"{several(found.impressions, 'impression')} of {several(found.readers, 'reader')}, in "
        f"{several(found.events, 'event')}."
    )
    if not found.impressions:
        console.print(
            "An impression needs 30 days of log before it, and more than 20 new K-Blocks."
        )
    titles = {
        "all": "All impressions",
        "cold": "Cold items: no events in the half hour before",
        "session_first": "First impression of each session",
    }
    for each, title in titles.items():
        measured = {name: slices[each] for name, slices in found.rankings.items()}
        _print_measured(title, {name: one for name, one in measured.items() if one is not None})
    if found.pairs:
        table = make_table("Differences, all impressions")
        add_text(table, "Rankings")
        add_intervals(table, *map(str.upper, METRICS))
        for pairs in _by_rankings(found.pairs):
            title = f"{pairs[0].a} − {pairs[0].b}"
            cells = (_cell(each.difference, each.interval, "+.3f") for each in pairs)
            table.add_row(title, *cells)
        print_table(table)
        console.print("Below each number: its 95 % interval, from a bootstrap over readers.")


def _print_measured(title: str, found: Mapping[str, Metrics]) -> None:
    if not found:
        return
    [impressions] = {each.impressions for each in found.values()}  # the same for all rankings
    table = make_table(f"{title}: {impressions}")
    add_names(table, "Ranking")
    add_intervals(table, *map(str.upper, METRICS))
    add_numbers(table, "Coverage")
    for ranking, each in found.items():
        cells = (_cell(each.values[name], each.intervals[name]) for name in METRICS)
        table.add_row(ranking, *cells, f"{each.coverage:.3f}")
    print_table(table)


def _cell(value: float, bounds: Interval, form: str = ".3f") -> str:
    return f"{value:{form}}\n{interval(*bounds, form)}"


def _by_rankings(pairs: list[Comparison]) -> Iterator[list[Comparison]]:
    for _, each in groupby(pairs, lambda pair: (pair.a, pair.b)):
        yield list(each)
