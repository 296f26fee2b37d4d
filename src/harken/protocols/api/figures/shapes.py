"""The JSON forms of figures of periods, of served pages, and of one K-Block or reader."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from harken.protocols.api.analytics import LeaderShape, WindowShape
from harken.services.record.figures.drill_down import ReaderFigures
from harken.services.record.figures.impressions import (
    LEAST_SAMPLE,
    Counts,
    Dimension,
    Impressions,
)
from harken.services.record.figures.periods import PeriodCounts, Periods

TOO_FEW = f"Null below {LEAST_SAMPLE}"


class PeriodCountsShape(BaseModel):
    """What readers did in a period."""

    views: int
    engagements: int
    dismissals: int
    contradictions: int
    avg_dwell_time_sec: float | None = Field(description="Null without timed views.")
    engagements_per_view: float | None = Field(description=f"{TOO_FEW} views.")
    dismissals_per_view: float | None = Field(description=f"{TOO_FEW} views.")


class BeforeShape(PeriodCountsShape):
    """The period of the same length before; it ends where the period begins."""

    since: datetime


class TotalsShape(PeriodCountsShape):
    """The counts of a period, and of the one before it."""

    since: datetime | None = Field(description="Null for all time.")
    until: datetime | None
    least_sample: int = Field(description="With fewer views, ratios are null.")
    before: BeforeShape | None = Field(
        description="Null for all time, and where the log begins later than that."
    )


class ImpressionCountsShape(BaseModel):
    """Impressions, and on how many of them a reader did something."""

    impressions: int
    clicks: int = Field(description="Impressions with a view or an engagement.")
    engagements: int = Field(description="Impressions with an engagement.")
    dismissals: int = Field(description="Impressions with a dismissal.")
    click_through: float | None = Field(description=f"{TOO_FEW} impressions.")
    engagement_rate: float | None = Field(description=f"{TOO_FEW} impressions.")
    dismissal_rate: float | None = Field(description=f"{TOO_FEW} impressions.")


class ImpressionGroupShape(ImpressionCountsShape):
    """The impressions of one feed, ranking, position, source or K-Block."""

    key: str | int | None = Field(
        description="A name or an id; a position from 0; null for K-Blocks without a source."
    )
    title: str | None = Field(description="The title of a K-Block, if it is stored.")


class ImpressionsShape(WindowShape):
    """Impressions by a dimension; the sums are over all groups, listed or not."""

    by: Dimension
    least_sample: int = Field(description="With fewer impressions, ratios are null.")
    total: ImpressionCountsShape
    groups: list[ImpressionGroupShape]
    feeds: list[str] = Field(description="The feeds of the window's pages.")
    rankings: list[str] = Field(description="The rankings of the window's pages.")


class PositionShape(WindowShape):
    """How much of the fall of click-through with the place is place itself."""

    basis: Literal["swapped_pairs", "same_items", "not_known"] = Field(
        description="swapped_pairs is an experiment; same_items is none."
    )
    text: str
    share: float | None = Field(description="From 0 to 1; null where the log cannot tell.")
    low: float | None = Field(description="The lower end of the 95 % interval.")
    high: float | None
    sample: int = Field(description="Choices between swapped pairs, or K-Blocks.")
    units: int = Field(description="Readers or K-Blocks that were resampled.")


class KBlockFiguresShape(WindowShape):
    """One K-Block: statistics of all time with a trend, and figures of the window."""

    kblock: LeaderShape | None = Field(description="Of all time; null without events.")
    title: str | None
    part_seconds: float
    readers: int = Field(description="Readers of the window.")
    counts: PeriodCountsShape
    impressions: ImpressionCountsShape
    by_feed: list[ImpressionGroupShape]
    by_ranking: list[ImpressionGroupShape]
    by_position: list[ImpressionGroupShape]


class ReaderActShape(BaseModel):
    """One event of a reader."""

    kblock_id: str
    title: str | None
    action: str
    interaction_type: str | None
    dwell_time_ms: int | None
    created_at: datetime


class ReaderFiguresShape(WindowShape):
    """One reader: counts of the window, pages by feed and ranking, and the latest events."""

    user_id: str
    kblocks: int = Field(description="K-Blocks with an event of this reader in the window.")
    counts: PeriodCountsShape
    impressions: ImpressionCountsShape
    by_feed: list[ImpressionGroupShape]
    by_ranking: list[ImpressionGroupShape]
    latest: list[ReaderActShape] = Field(description="At most 20, the latest first.")


def totals(found: Periods) -> TotalsShape:
    """Return the shape of a period and the one before."""
    before = None
    if found.before is not None and found.before_since is not None:
        before = BeforeShape(since=found.before_since, **_counts(found.before))
    return TotalsShape(
        since=found.since,
        until=found.until,
        least_sample=LEAST_SAMPLE,
        before=before,
        **_counts(found.counts),
    )


def counts(found: PeriodCounts) -> PeriodCountsShape:
    """Return the shape of counts of a period."""
    return PeriodCountsShape(**_counts(found))


def _counts(found: PeriodCounts) -> dict[str, float | None]:
    def per_view(count: int) -> float | None:
        return count / found.views if found.views >= LEAST_SAMPLE else None

    return {
        **{name: getattr(found, name) for name in PeriodCounts._fields[:4]},
        "avg_dwell_time_sec": found.mean_dwell_sec,
        "engagements_per_view": per_view(found.engagements),
        "dismissals_per_view": per_view(found.dismissals),
    }


def impressions(by: Dimension, found: Impressions, titles: Mapping[str, str]) -> ImpressionsShape:
    """Return the shape of impressions by a dimension."""
    return ImpressionsShape(
        **found.window._asdict(),
        by=by,
        least_sample=LEAST_SAMPLE,
        total=impression_counts(found.total),
        groups=groups(found, titles),
        feeds=list(found.feeds),
        rankings=list(found.rankings),
    )


def groups(found: Impressions, titles: Mapping[str, str]) -> list[ImpressionGroupShape]:
    """Return the shapes of groups; `titles` are those of K-Blocks by id."""
    return [
        ImpressionGroupShape(key=key, title=titles.get(str(key)), **_rates(each))
        for key, each in found.groups
    ]


def impression_counts(found: Counts) -> ImpressionCountsShape:
    """Return the shape of counts of impressions."""
    return ImpressionCountsShape(**_rates(found))


def _rates(found: Counts) -> dict[str, float | None]:
    return {
        **found._asdict(),
        "click_through": found.rate("clicks"),
        "engagement_rate": found.rate("engagements"),
        "dismissal_rate": found.rate("dismissals"),
    }


def acts(found: ReaderFigures, titles: Mapping[str, str]) -> list[ReaderActShape]:
    """Return the shapes of a reader's latest events."""
    return [
        ReaderActShape(title=titles.get(each.kblock_id), **each._asdict()) for each in found.latest
    ]
