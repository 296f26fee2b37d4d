"""Messages of a stream, and the events in them."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from starlette.exceptions import HTTPException

from harken.domain.feedback import Interaction
from harken.errors import InvalidInput, Problem
from harken.protocols.http.json_body import parse_json
from harken.protocols.http.size_limits import BODY_LIMIT

TIMED = 7
RANDOM_BITS = 74
"""The bits of a UUID of version 7 that are neither its time nor its kind (RFC 9562, §5.7)."""


class Message(NamedTuple):
    """A message as the broker keeps it.

    body: what was sent, unchanged.
    place: where it is, such as `EVENTS:17`: the same at each delivery, and of no other message.
    at: when it came into the stream; None if the broker does not know.
    """

    body: bytes
    place: str
    at: datetime | None


class DeadLetter(NamedTuple):
    """A message that holds no event that can be recorded, and why."""

    message: Message
    reason: str


def event_in(message: Message) -> Interaction:
    """Return the event of a message, which is the same at each delivery. Raises InvalidInput.

    Without an `interaction_id` it gets one of its place. Without `occurred_at` it happened when it
    came into the stream, however long it waited there.
    """
    if len(message.body) > BODY_LIMIT:
        raise InvalidInput(Problem("", f"the message is longer than {BODY_LIMIT} bytes"))
    try:
        fields = parse_json(message.body)
    except HTTPException as error:
        raise InvalidInput(Problem("", error.detail)) from None
    if not isinstance(fields, dict):
        raise InvalidInput(Problem("", "a message must be a JSON object: the fields of one event"))
    return Interaction.parse(_defaults(message, fields) | fields)


def _defaults(message: Message, fields: dict[str, Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"interaction_id": id_of(message)}
    # `sent_at` corrects an `occurred_at`. The time in the stream is by the clock of the broker, or
    # of who sent the message, which may be ahead of this one.
    if message.at is not None and "occurred_at" not in fields and "sent_at" not in fields:
        defaults["occurred_at"] = min(message.at, datetime.now(UTC)).isoformat()
    return defaults


def id_of(message: Message) -> str:
    """Return the id of the event in a message without one: a UUID of version 7.

    Its time is that of the message; the rest is a hash of the place and the time, so that a stream
    that was made anew, and counts from 1 again, gives other ids.
    """
    at = 0 if message.at is None else max(0, int(message.at.timestamp() * 1_000))
    hashed = int.from_bytes(sha256(f"{message.place} {message.at}".encode()).digest())
    rest = hashed % (1 << RANDOM_BITS)
    high, low = divmod(rest, 1 << 62)
    return str(UUID(int=at % (1 << 48) << 80 | TIMED << 76 | high << 64 | 0b10 << 62 | low))
