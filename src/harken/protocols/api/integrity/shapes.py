"""What the routes of `/integrity` take and return."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from harken.domain.fields import KeptIdentifier, Part, Text
from harken.services.integrity.alerts.alert_store import AlertState
from harken.services.integrity.quarantine.acts import LONGEST_REASON, MOST_SUBJECTS
from harken.services.integrity.quarantine.audit import Act
from harken.services.record.admission.quarantines import Target

Ids = Annotated[list[KeptIdentifier], Field(min_length=1, max_length=MOST_SUBJECTS)]
Reason = Annotated[Text, Field(max_length=LONGEST_REASON, description="Why, for the audit.")]


class AlertShape(BaseModel):
    """What a detector found."""

    alert_id: str
    detector: str
    kind: str = Field(description="reader, session, kblock or stream: what `id` names.")
    id: str
    score: float = Field(description="From 0 to 1, higher for more suspect.")
    began_at: datetime | None = Field(description="The first event of the evidence.")
    ended_at: datetime | None = Field(description="The last event of the evidence.")
    words: str = Field(description="The evidence, in words.")
    figures: dict[str, Any] = Field(description="The evidence, in figures.")
    state: AlertState
    found_at: datetime
    seen_at: datetime = Field(description="When it was found last.")
    decided_by: str | None
    decided_at: datetime | None
    note: str | None


class AlertDetailShape(AlertShape):
    """An alert with the readers that it accuses."""

    members: list[str]


class AlertsShape(BaseModel):
    """Alerts, the most suspect first."""

    alerts: list[AlertShape]
    total: int


class DismissalRequest(Part):
    """Why an alert is no reason to act."""

    note: Reason = ""


class QuarantineRequest(Part):
    """Whom or what to set aside."""

    target: Target
    ids: Ids
    reason: Reason = ""
    alert_id: KeptIdentifier | None = Field(None, description="The alert that led to it.")
    confirm: bool = Field(
        default=False, description="Set aside even more than a fifth of all events."
    )


class ReleaseRequest(Part):
    """Whom or what to release."""

    target: Target
    ids: Ids
    reason: Reason = ""


class OutcomeShape(BaseModel):
    """What an act changed."""

    act_id: str | None = Field(description="Null if nothing changed.")
    act: Act
    target: Target
    changed: list[str]
    already: dict[str, datetime] = Field(description="What was set aside before, since when.")
    events: int = Field(description="Events that ceased to count, or count again.")
    readers: int
    kblocks: int


class QuarantineShape(BaseModel):
    """A reader, session or event that is set aside."""

    target: Target
    id: str
    events: int
    by: str = Field(description="The id of the key, `cli`, `automatic`, or who else acted.")
    reason: str
    alert_id: str | None
    since: datetime


class QuarantinesShape(BaseModel):
    """What is set aside, the latest first."""

    quarantines: list[QuarantineShape]


class ActShape(BaseModel):
    """A line of the audit."""

    act_id: str
    act: Act
    target: Target
    id: str | None = Field(description="Null if the reader was erased since.")
    by: str
    reason: str
    alert_id: str | None
    events: int
    at: datetime


class ActsShape(BaseModel):
    """The audit, the latest act first."""

    acts: list[ActShape]
