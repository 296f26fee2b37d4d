"""The HTML file of a report."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jinja2

from harken.protocols.report_file.interval_plots import (
    LEFT,
    ROW,
    WIDTH,
    Measured,
    Plot,
    interval_plot,
)
from harken.services.evaluation.metrics import METRICS

RATIOS = {
    "engagement_per_view": "Engagements per view",
    "dismissals_per_view": "Dismissals per view",
}
VERDICTS = {"better": "Better", "worse": "Worse", "not_known": "Not known"}
SHOWN = "ndcg@10"
MEDIA_TYPE = "text/html; charset=utf-8"


def report_document(report: Mapping[str, Any]) -> str:
    """Return the HTML of a report, given its JSON form; it is one file that loads nothing."""
    plots = [
        interval_plot(f"{name}, week by week", _weeks(report["weeks"], ratio), from_zero=False)
        for ratio, name in RATIOS.items()
    ]
    drawn = [each for each in plots if each is not None]
    verdict = VERDICTS[report["answer"]["verdict"]]
    return _template().render(
        report=report,
        verdict=verdict,
        answer=report["answer"]["text"].removeprefix(f"{verdict}: "),
        plots=drawn,
        models=[_model(each) for each in report["models"]],
        ratios=RATIOS,
        metrics=METRICS,
        width=WIDTH,
        left=LEFT,
        row=ROW,
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harken.protocols.report_file"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = lambda value: "–" if value is None else f"{value:.3f}"
    return environment.get_template("report.html")


def _weeks(weeks: Sequence[Mapping[str, Any]], ratio: str) -> list[Measured]:
    return [
        Measured(
            week["week"] + (" (partial)" if week["is_partial"] else ""),
            **week[ratio],
            is_hollow=week["is_partial"],
        )
        for week in weeks
    ]


def _model(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model with its plot: how much better it is than each other ranking."""
    is_hollow = found["basis"] == "held_out"
    rows = [
        Measured(f"than {each['than']}", each["difference"], each["low"], each["high"], is_hollow)
        for each in found["differences"]
        if each["metric"] == SHOWN
    ]
    title = f"{SHOWN.upper()} of {found['model_id']} minus that of other rankings"
    plot: Plot | None = interval_plot(title, rows, from_zero=True)
    return {**found, "plot": plot}
