"""`harken report`."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

import harken
from harken.errors import several
from harken.protocols import presentation
from harken.protocols.cli.data_commands.imports import INTERRUPTED
from harken.protocols.cli.data_commands.logs import aware
from harken.protocols.cli.progress import progress
from harken.protocols.cli.running import (
    TIME_FORMATS,
    Force,
    Json,
    check_new,
    console,
    escaped,
    messages,
    print_json,
    print_left_out,
    with_feeds,
)
from harken.protocols.cli.tables import (
    add_intervals,
    add_names,
    add_numbers,
    interval,
    make_table,
    print_table,
)
from harken.protocols.report_file.document import report_document
from harken.services.evaluation.metrics import METRICS
from harken.services.registry.reporting import (
    MOST_WEEKS,
    WEEKS,
    ReportInputs,
    make_report,
    read_report_inputs,
)

Name = Callable[[dict[str, Any]], str]

PER_VIEW = {"engagement": "engagements", "dismissals": "dismissals"}
TRAINED_WITH = {
    "trained_with_erased": "erased readers or K-Blocks",
    "trained_with_quarantined": "what is in quarantine",
}
BASIS = {"in_service": "in service", "held_out": "held out"}


def install(app: typer.Typer) -> None:
    """Add the command `report`."""
    app.command()(report)


def report(
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=TIME_FORMATS,
            help="Begin with the week of this time (UTC).",
        ),
    ] = None,
    weeks: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_WEEKS, help=f"The number of weeks, the latest ones; default: {WEEKS}."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write the report to this file, too, as HTML with its plots."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Report week by week whether the feed is getting better, and store the report.

    Weeks begin on Monday, UTC. Models that were in service are compared with simple rankings by a
    replay of the log, on impressions that they were not trained on.
    """
    if html is not None:
        check_new(html, force=force, name="--html")
    now = datetime.now(UTC)
    try:
        material = with_feeds(
            lambda service: read_report_inputs(service.registry, now, since and aware(since), weeks)
        )
        made = _make(material)
    except KeyboardInterrupt:
        messages.print("Interrupted: nothing was written.")
        raise typer.Exit(INTERRUPTED) from None
    stored = with_feeds(lambda service: service.registry.reports.add(made, harken.__version__))
    content = presentation.report(stored)
    if html is not None:
        html.write_text(report_document(content), "utf-8")
    if as_json:
        print_json(content)
        return
    _print(content)
    if html is not None:
        console.print(f"Written to {escaped(str(html))}.", highlight=False)


def _make(material: ReportInputs) -> dict[str, Any]:
    with progress("Report", len(material.log.events)) as report_progress:
        return make_report(material, report_progress)


def _print(content: dict[str, Any]) -> None:
    console.print(escaped(content["answer"]["text"]), highlight=False)
    console.print(f"No experiment: {content['no_experiment']}", highlight=False)
    if content["weeks"]:
        _print_weeks("Week by week", content["weeks"], _week)
    if any(row["ranking"] is not None for row in content["rankings"]):
        partial = {week["week"] for week in content["weeks"] if week["is_partial"]}
        rows = [row | {"is_partial": row["week"] in partial} for row in content["rankings"]]
        _print_weeks("By ranking", rows, _ranking)
    for found in content["models"]:
        _print_model(found)
    print_left_out(content.get("left_out", {}))
    for name, what in TRAINED_WITH.items():
        if content[name]:
            _print_marked(content[name], what)
    console.print("Below each number: its 95 % interval, from a bootstrap over readers.")


def _print_marked(models: Sequence[dict[str, Any]], what: str) -> None:
    """Name models that may know what does not count any more."""
    named = ", ".join(
        escaped(each["model_id"]) + (" (in service)" if each.get("in_service") else "")
        for each in models
    )
    console.print(
        f"Models trained with {what}: {named}. `harken train --promote` makes a new one.",
        highlight=False,
    )


def _print_weeks(title: str, rows: Sequence[dict[str, Any]], name: Name) -> None:
    """Print a table without its empty columns."""
    columns: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
        "Views": ("views", lambda row: str(row["views"])),
        "Engaged,\nper view": ("views", lambda row: _per_view(row, "engagement")),
        "Dismissed,\nper view": ("dismissals", lambda row: _per_view(row, "dismissals")),
        "Mean\ndwell": ("avg_dwell_time_sec", lambda row: _seconds(row["avg_dwell_time_sec"])),
        "Readers": ("readers", lambda row: str(row["readers"])),
        "Guests": ("guest_visits", lambda row: str(row["guest_visits"])),
    }
    table = make_table(title)
    add_names(table, "Week")
    shown = []
    for heading, (field, cell) in columns.items():
        if any(row[field] for row in rows):
            add = add_intervals if "per view" in heading else add_numbers
            add(table, heading)
            shown.append(cell)
    for row in rows:
        table.add_row(name(row), *(cell(row) for cell in shown))
    print_table(table)


def _week(row: dict[str, Any]) -> str:
    return f"{row['week']}\n{'partial' if row['is_partial'] else row['begin'][:10]}"


def _ranking(row: dict[str, Any]) -> str:
    part = "\npartial" if row["is_partial"] else ""
    return f"{row['week']}\n{escaped(row['ranking'] or 'not known')}{part}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _per_view(row: dict[str, Any], name: str) -> str:
    count = row[PER_VIEW[name]]
    ratio = row[f"{name}_per_view"]
    if ratio["value"] is None:
        return str(count)
    return f"{count}\n{ratio['value']:.3f}\n{_bounds(ratio)}"


def _bounds(found: dict[str, Any], form: str = ".3f") -> str:
    return "" if found["low"] is None else interval(found["low"], found["high"], form)


def _drawn(found: dict[str, Any]) -> str:
    drawn, measurable = found["impressions"], found["measurable"]
    return f"{drawn} of {measurable}" if drawn < measurable else f"{drawn}"


def _print_model(found: dict[str, Any]) -> None:
    name = escaped(found["model_id"])
    if found["problem"] is not None:
        console.print(f"{name} cannot be measured: {escaped(found['problem'])}.", highlight=False)
        return
    span = f"{found['from'][:16]} to {found['until'][:16]}"
    how = f"{BASIS[found['basis']]}, {span}: {_drawn(found)} impressions"
    if not found["impressions"]:
        console.print(f"{name}, {how}.", highlight=False)
        return
    table = make_table(f"{name}, {how} of {several(found['readers'], 'reader')}")
    add_names(table, "Ranking")
    add_intervals(table, *map(str.upper, METRICS))
    for ranking, values in found["rankings"].items():
        table.add_row(escaped(ranking), *(f"{values[metric]:.3f}" for metric in METRICS))
    table.add_section()
    for than in dict.fromkeys(each["than"] for each in found["differences"]):
        cells = [
            f"{each['difference']:+.3f}\n{_bounds(each, '+.3f')}"
            for each in found["differences"]
            if each["than"] == than
        ]
        table.add_row(f"− {escaped(than)}", *cells)
    print_table(table)
