"""The metrics of experiments: numbers for each reader, from the log and the slates.

A metric is a mean over readers, or a ratio of two means. Counts are of the reader's window.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from harken.errors import InvalidInput, Problem, close_to, quoted

RETURN_DAYS = 7


class Metric(NamedTuple):
    """A metric: `numerator` over `denominator`, or the mean of `numerator` over readers.

    Both name a count of `harken.services.experiments.observations`.
    """

    name: str
    description: str
    numerator: str
    denominator: str | None = None
    is_better_high: bool = True


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        each.name: each
        for each in (
            Metric("engagements_per_slate", "engagements per page", "engagements", "slates"),
            Metric("engagements_per_view", "engagements per view", "engagements", "views"),
            Metric(
                "dwell_per_view", "seconds per view, of views with a dwell time", "dwell", "timed"
            ),
            Metric(
                "dismissals_per_slate", "dismissals per page", "dismissals", "slates",
                is_better_high=False,
            ),
            Metric(
                "contradictions_per_slate", "contradictions per page", "contradictions", "slates",
                is_better_high=False,
            ),
            Metric("return_7d", "share of readers who return within 7 days", "returned"),
        )
    }
)  # fmt: skip
CREDIT = Metric(
    "credit", "whose items are chosen on shared pages: (b - a) / (b + a) per reader", "credit"
)
"""The metric of interleaving; no other experiment has it."""


def find_metric(field: str, name: str) -> Metric:
    """Return a metric of an A/B test; raises InvalidInput that lists the known ones."""
    if name in METRICS:
        return METRICS[name]
    raise InvalidInput(
        Problem(
            field,
            f"{quoted(name)} is no metric that the log can give; {close_to(name, METRICS)}"
            f"known are {', '.join(METRICS)}",
        )
    )
