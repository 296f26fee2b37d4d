"""What `harken consume` reads, and where it puts what it cannot record."""

import logging
from dataclasses import dataclass

from harken.errors import InvalidInput, Problem, printable, shortened
from harken.protocols.stream.messages import DeadLetter

library_log = logging.getLogger("harken.protocols.stream.library")
"""Where FastStream logs."""

LONGEST_REASON = 500
LONGEST_NAME = 200


@dataclass(frozen=True)
class StreamOptions:
    """What is consumed.

    subject: a subject of NATS, or a topic of Kafka, whose messages are events.
    dead_letters: the subject or topic for messages that hold no event.
    group: the durable consumer of NATS, or the consumer group of Kafka: processes with the same
        group share the messages.
    batch: the most messages that are recorded at once.
    create: whether missing streams and topics are made.
    closing_seconds: how long a batch may take when the process ends.
    """

    subject: str
    dead_letters: str
    group: str
    batch: int
    create: bool = False
    closing_seconds: float = 15.0

    def __post_init__(self) -> None:
        for name in ("subject", "dead_letters", "group"):
            _check_name(name, getattr(self, name))
        if self.subject == self.dead_letters:
            raise InvalidInput(
                Problem("dead_letters", "must not be the subject: each would be read again")
            )


def _check_name(name: str, text: str) -> None:
    is_plain = text.isascii() and text.isprintable() and not set(text) & set(" *>/\\,")
    if not is_plain or not 1 <= len(text) <= LONGEST_NAME:
        raise InvalidInput(
            Problem(
                name, "must be 1 to 200 letters, digits, and signs other than * > / \\ , and blanks"
            )
        )


def header_text(dead: DeadLetter) -> dict[str, str]:
    """Return the headers of a dead letter: why it is one, and where the message came from."""
    reason = printable(shortened(dead.reason, LONGEST_REASON))
    return {
        "harken-reason": reason.encode("ascii", "backslashreplace").decode(),
        "harken-place": dead.message.place,
    }
