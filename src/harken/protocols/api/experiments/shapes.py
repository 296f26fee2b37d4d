"""Models of the requests and answers of the routes of experiments and flags."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, Field, StrictBool, StrictInt

from harken.domain.declarations import FEED_ID
from harken.domain.fields import WHOLE, Identifier, Part, Text
from harken.services.experiments.definitions import (
    Arm,
    Definition,
    Eligibility,
    Guardrail,
    Kind,
    State,
)
from harken.services.experiments.metrics import CREDIT, METRICS

ExperimentId = Annotated[
    Text,
    Path(
        description="The id of an experiment.",
        json_schema_extra={"pattern": f"^{FEED_ID.pattern}$"},
    ),
]


class AllocationShape(BaseModel):
    """One version of an adaptive allocation."""

    version: int
    shares: dict[str, float] = Field(description="By arm.")
    in_force_at: datetime
    computed_at: datetime
    computed_by: str = Field(description="The process, as host:number, or the definition.")
    readers: int = Field(description="How many it was computed from.")


class ExperimentShape(BaseModel):
    """One version of an experiment, with its state and all that assigns units to arms."""

    id: str
    version: int
    state: State
    kind: Kind
    description: str
    feeds: list[str]
    arms: list[Arm]
    control: str
    allocation: dict[str, float] = Field(description="By arm; of an adaptive one, at the start.")
    adaptive: bool
    allocations: list[AllocationShape] = Field(
        description="The versions of an adaptive allocation; none of a fixed one."
    )
    eligibility: Eligibility
    metric: str = Field(json_schema_extra={"enum": [*METRICS, CREDIT.name]})
    guardrails: list[Guardrail]
    layer: str
    slots: list[int] = Field(description="The first and the last.")
    planned_size: int
    window_days: int
    alpha: float
    negligible: float | None
    salt: str
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    stop_reason: str | None
    decided_at: datetime | None
    decision: dict[str, Any] | None


class ExperimentsShape(BaseModel):
    """Experiments, the latest created first."""

    experiments: list[ExperimentShape]


class JoinedShape(BaseModel):
    """How many events of readers in the experiment joined, and by what."""

    by_request: int = Field(description="By the page that they name.")
    by_reader: int = Field(description="By their reader: they name no page that is kept.")
    elsewhere: int = Field(description="On other pages; they do not count.")


class ResultsShape(BaseModel):
    """The results of an experiment as of a time. Effects are of readers whose window is closed."""

    id: str
    version: int
    state: State
    kind: Kind
    metric: str
    as_of: float = Field(description="Seconds since 1970.")
    joined: JoinedShape
    testers: int = Field(description="Readers in forced arms; they are left out.")
    allocations: list[AllocationShape]
    readers: dict[str, int]
    arms: list[dict[str, Any]]
    sample_ratio: dict[str, Any] | None
    quarantine: dict[str, Any] | None
    verdicts: dict[str, dict[str, Any]] = Field(description="By arm, with a sentence in `text`.")
    comparisons: list[dict[str, Any]] = Field(description="The primary metric comes first.")
    guardrails: list[dict[str, Any]]
    with_quarantined: list[dict[str, Any]]
    personalisation_off: list[dict[str, Any]]


class PowerShape(BaseModel):
    """What an experiment can find, by the log of the latest days."""

    id: str
    version: int
    metric: str
    value: float | None = Field(description="The metric's value in the log; null for credits.")
    measured_on: int = Field(description="Readers of the log by whom it is computed.")
    power: float = Field(description="The probability of finding the effect.")
    effect: float = Field(description="In the metric's unit.")
    relative: float | None = Field(description="As a share of the value.")
    readers: int = Field(description="Of all arms together.")
    days: int | None = Field(description="Null if the log does not tell how fast readers come.")


class StopRequest(Part):
    """Why an experiment is stopped."""

    reason: Annotated[Text, Field(max_length=500)] | None = None


class DecisionRequest(Part):
    """What was decided after an experiment."""

    arm: Text
    note: Annotated[Text, Field(max_length=500)] | None = None


class ExposureRequest(Part):
    """A unit that used the value of a flag: a reader, or a session of a guest."""

    experiment: Text
    user_id: Identifier | None = Field(None, description="The reader; default: guest.")
    session_id: Identifier | None = Field(None, description="For a guest: the unit.")
    arm: Text | None = Field(None, description="What was used; refused if it is another one.")
    allocation: Annotated[StrictInt, Field(ge=1, le=2**31 - 1), WHOLE] | None = Field(
        None,
        description="`allocation` of the evaluation's metadata, for an adaptive one.",
    )
    forced: StrictBool = Field(
        False,
        description="The unit is a tester, who chose `arm`, and is left out of the results.",
    )


class ExposureShape(BaseModel):
    """The arm that a unit is exposed to from now on."""

    success: bool
    experiment: str
    version: int
    arm: str


class FlagShape(BaseModel):
    """An evaluated flag."""

    key: str
    value: Any = Field(description="Of any JSON type.")
    reason: str = Field(
        description="SPLIT; DEFAULT for a unit outside the experiment; TARGETING_MATCH for testers."
    )
    variant: str | None = Field(None, description="The name of the arm.")
    metadata: dict[str, Any]


class FlagsShape(BaseModel):
    """All flags, evaluated for one unit."""

    flags: list[FlagShape]


class FlagProblem(BaseModel):
    """Why a flag was not evaluated."""

    key: str | None = None
    errorCode: str = Field(  # noqa: N815 — the name in the protocol
        description="PARSE_ERROR, INVALID_CONTEXT, TARGETING_KEY_MISSING or FLAG_NOT_FOUND."
    )
    errorDetails: str  # noqa: N815 — the name in the protocol


DEFINITION_SCHEMA = Definition.model_json_schema(ref_template="#/components/schemas/{model}")
