"""The JSON forms of the report, which answers whether the feed is getting better."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

RATIO = "Null without views. The bounds are null with fewer than 10 readers, too."


class RatioShape(BaseModel):
    """A ratio with its 95 % interval, from a bootstrap over readers."""

    value: float | None
    low: float | None
    high: float | None


class CountedShape(BaseModel):
    """Counts of a week."""

    week: str = Field(description="ISO 8601 week, such as 2026-W40.")
    begin: datetime = Field(description="A Monday, UTC.")
    end: datetime
    views: int
    engagements: int
    dismissals: int
    readers: int = Field(description="Readers with at least one event, without guests.")
    guest_visits: int = Field(
        description="Sessions of guests; hours with events if guests have no session."
    )
    avg_dwell_time_sec: float | None
    engagement_per_view: RatioShape = Field(description=RATIO)
    dismissals_per_view: RatioShape = Field(description=RATIO)


class WeekShape(CountedShape):
    """Counts of a week, over all rankings."""

    is_partial: bool = Field(description="Whether the log begins or ends in this week.")


class RankingShape(CountedShape):
    """Counts of a week for the events that came from slates of one ranking."""

    ranking: str | None = Field(description="Null for events without a known slate.")


class ComparedShape(BaseModel):
    """Engagements per view of the last full week, compared with earlier weeks together."""

    week: str
    than: list[str]
    now: float
    then: float
    difference: float
    low: float | None
    high: float | None


class AnswerShape(BaseModel):
    """The answer, from the first comparison."""

    verdict: Literal["better", "worse", "not_known"]
    text: str
    compared: list[ComparedShape]


class DifferenceShape(BaseModel):
    """The difference of a metric between the model and another ranking, same impressions."""

    than: str
    metric: str
    difference: float
    low: float | None
    high: float | None


class MeasuredShape(BaseModel):
    """The metrics of a model, on impressions that it was not trained on."""

    model_id: str
    basis: Literal["in_service", "held_out"] | None = Field(
        description="in_service: impressions while it served; held_out: from its training data on."
    )
    begin: datetime = Field(alias="from")
    until: datetime
    impressions: int = Field(
        description="The number of impressions that were ranked; a sample of all."
    )
    measurable: int | None = Field(
        None, description="The number of all impressions; null in reports of earlier versions."
    )
    readers: int
    rankings: dict[str, dict[str, float]] = Field(
        description="The metrics of the model (learned) and of the other rankings."
    )
    differences: list[DifferenceShape]
    problem: str | None = Field(description="Why the model could not be measured; else null.")


class MarkedShape(BaseModel):
    """A model that may have been trained with events that do not count any more."""

    model_id: str
    in_service: bool = Field(
        default=False, description="When the report was made; earlier versions do not say."
    )


class WithErasedShape(MarkedShape):
    """A model that may have been trained with events that were erased since."""

    erasures: int = Field(description="How many erasures removed such events.")


class WithQuarantinedShape(MarkedShape):
    """A model that may have been trained with events that were set aside since."""

    quarantines: int = Field(description="How many quarantines set such events aside.")


class ReportShape(BaseModel):
    """The latest report."""

    report_id: str
    created_at: datetime
    code_version: str
    answer: AnswerShape
    no_experiment: str = Field(description="Why the answer tells no cause, in a sentence.")
    weeks: list[WeekShape]
    rankings: list[RankingShape]
    models: list[MeasuredShape]
    left_out: dict[str, int] = Field(
        default_factory=dict,
        description="How many events, readers and sessions are in quarantine; none of them counts.",
    )
    trained_with_erased: list[WithErasedShape] = Field(
        description="Models that may have been trained with readers or K-Blocks erased since."
    )
    trained_with_quarantined: list[WithQuarantinedShape] = Field(
        description="Models that may have been trained with what was set aside since."
    )
