"""Interactions of readers with items: as clients report them, and as the log stores them."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt

from harken.domain.fields import WHOLE, Identifier, Label, check_identifier, parse
from harken.domain.times import ReportedTime, in_utc
from harken.errors import InvalidInput, Problem

GUEST = "guest"
"""The reader id of unknown readers: counted, never personalised; their dismissals hide nothing."""

MAX_DWELL_MS = 24 * 60 * 60 * 1000
MAX_METADATA_BYTES = 16 * 1024
# Longer integers overflow in JSON parsers that have floating-point numbers only.
MAX_DIGITS = 300
_MANY_DIGITS = re.compile(rf"[0-9]{{{MAX_DIGITS + 1}}}", re.ASCII)
MAX_CLOCK_LEAD = timedelta(minutes=5)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class FeedbackAction(StrEnum):
    """What a reader can do with an item."""

    VIEW = "view"
    ENGAGE = "engage"
    DISMISS = "dismiss"
    CONTRADICT = "contradict"


class Interaction(BaseModel):
    """One thing that one reader did with one item, as a client reports it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: Identifier = Field(description="Who did it; `guest` for an unknown reader.")
    kblock_id: Identifier = Field(description="The item; it need not exist yet.")
    action: FeedbackAction
    dwell_time_ms: Annotated[StrictInt, Field(ge=0, le=MAX_DWELL_MS), WHOLE] | None = Field(
        None, description="Time spent viewing, in milliseconds, at most 24 hours."
    )
    interaction_type: Label | None = Field(
        None, description="The exact interaction: edit, comment, link, copy…"
    )
    metadata: dict[str, Any] | None = Field(
        None, description="Anything else, as a JSON object of at most 16 KiB."
    )
    interaction_id: Identifier | None = Field(
        None, description="The client's id of this event; a repeated event is counted once."
    )
    occurred_at: ReportedTime | None = Field(
        None, description="When it happened by the client's clock; else the time of receipt."
    )
    sent_at: ReportedTime | None = Field(
        None,
        description="The client's clock when it sent this; corrects `occurred_at` for a wrong one.",
    )
    request_id: Identifier | None = Field(None, description="The feed response it came from.")
    position: Annotated[StrictInt, Field(ge=0, le=2**31 - 1), WHOLE] | None = Field(
        None, description="The item's place in that feed, from 0, counted across pages."
    )
    session_id: Identifier | None = None

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Check the fields of one event; raises InvalidInput with every problem found."""
        return parse(cls, fields)

    def entry(self, received_at: datetime, new_id: str) -> "LogEntry":
        """Make the log entry of this event; `new_id` is its id if the client gave none.

        Raises InvalidInput if the metadata cannot be stored, if the contradicted K-Block is not the
        id of another one, or if the event is more than five minutes in the future.
        """
        self._check_contradicted()
        return LogEntry(
            self.interaction_id or new_id,
            self.user_id,
            self.kblock_id,
            self.action.value,
            self.dwell_time_ms,
            self.interaction_type,
            None if self.metadata is None else canonical_json(self.metadata),
            self._happened_at(received_at),
            self.request_id,
            self.position,
            self.session_id,
        )

    def _check_contradicted(self) -> None:
        if self.action is not FeedbackAction.CONTRADICT or not self.metadata:
            return
        other = self.metadata.get("contradicts")
        if other is None:
            return
        if not isinstance(other, str):
            raise InvalidInput(Problem("metadata.contradicts", "must be the id of a K-Block"))
        check_identifier("metadata.contradicts", other)
        if other == self.kblock_id:
            raise InvalidInput(Problem("metadata.contradicts", "must be another K-Block"))

    def _happened_at(self, received_at: datetime) -> datetime:
        if self.occurred_at is None:
            return received_at
        try:
            at = in_utc(self.occurred_at)
            if self.sent_at is not None:
                at += received_at - in_utc(self.sent_at)  # cannot overflow: both are in range
        except ValueError:
            at = EARLIEST - MAX_CLOCK_LEAD
        if not EARLIEST <= at <= received_at + MAX_CLOCK_LEAD:
            raise InvalidInput(
                Problem(
                    "occurred_at",
                    f"must be between {EARLIEST:%Y-%m-%d} and five minutes from now "
                    f"(it is {received_at:%Y-%m-%dT%H:%M:%SZ} here); a client whose clock is "
                    "wrong sends its own time as sent_at",
                )
            )
        return at


class LogEntry(NamedTuple):
    """A row of the log; the fields are its columns without `updated_at`."""

    id: str
    user_id: str
    kblock_id: str
    action: str
    dwell_time_ms: int | None
    interaction_type: str | None
    interaction_metadata: str | None
    created_at: datetime
    request_id: str | None
    position: int | None
    session_id: str | None

    def repeats(self, earlier: "LogEntry") -> bool:
        """Whether this is `earlier` sent again: equal except for the time."""
        return self._replace(created_at=earlier.created_at) == earlier


def canonical_json(value: Any, name: str = "metadata") -> str:
    """Serialize a value so that equal ones give equal texts.

    Raises InvalidInput with the `name` of the field if it is not JSON that can be stored.
    """
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        size = len(text.encode())
    except UnicodeEncodeError:
        problem = "must not contain lone surrogates"
    except RecursionError:
        problem = "is nested too deeply"
    except (TypeError, ValueError):
        problem = "must be JSON: string keys, finite numbers"
    else:
        if size > MAX_METADATA_BYTES:
            problem = f"takes {size} bytes as JSON; at most {MAX_METADATA_BYTES} are kept"
        # The text may also contain a backslash followed by "u0000", so the values are checked.
        elif "\\u0000" in text and any(
            "\x00" in leaf for leaf in _leaves(value) if isinstance(leaf, str)
        ):
            problem = "must not contain \\u0000"
        # The digits may also be part of a string, so the values are checked.
        elif _MANY_DIGITS.search(text) and any(map(_is_huge, _leaves(value))):
            problem = "must not hold whole numbers of over 300 digits"
        else:
            return text
    raise InvalidInput(Problem(name, problem))


def _leaves(value: object) -> Iterator[object]:
    """Yield all keys and all values that are neither lists nor objects, at any depth."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield key
            yield from _leaves(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _leaves(member)
    else:
        yield value


def _is_huge(leaf: object) -> bool:
    return isinstance(leaf, int) and abs(leaf) >= 10**MAX_DIGITS


def _kept(value: Any) -> Any:
    try:
        canonical_json(value, "")
    except InvalidInput as error:
        raise ValueError(error.problems[0].message) from None
    return value


KeptJSON = Annotated[Any, AfterValidator(_kept)]
"""JSON that can be stored and answered: without lone surrogates and infinite numbers."""
