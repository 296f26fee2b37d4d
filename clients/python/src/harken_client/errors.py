"""The exceptions of the client.

HarkenClientError
├── Refused            the service answered that it will not do this; `problem` says why
│   ├── Unauthorized     401: a key or token is needed, or is not valid
│   ├── Forbidden        403: the key or token does not allow this
│   ├── NotFound         404: there is nothing of that name
│   ├── Conflict         409: the id is in the log with other content
│   ├── Gone             410: the cursor expired, or the reader was erased
│   └── Invalid          422: a field is wrong; `errors` lists the fields
├── Unreachable        no answer came within `patience`; the call may be repeated
├── QueueFull          too many events wait to be sent
├── Closed             the client was closed
└── Undelivered        events could not be sent in time; `events` has them
"""

from collections.abc import Mapping, Sequence
from typing import Any

from harken_client.shapes import Event


class HarkenClientError(Exception):
    """The base class of the client's exceptions."""


class Refused(HarkenClientError):
    """An answer with a status of 300 to 499: repeating the call would not help.

    `problem` is the problem document (RFC 9457) of the answer, `errors` what it says of fields.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.detail = str(problem.get("detail") or problem.get("title") or f"status {status}")
        self.errors: Sequence[Mapping[str, str]] = problem.get("errors") or []
        super().__init__(self.detail)


class Unauthorized(Refused):
    """A key or a user token is needed, or the given one is not valid."""


class Forbidden(Refused):
    """The key or the user token does not allow this."""


class NotFound(Refused):
    """There is nothing of that name."""


class Conflict(Refused):
    """The request conflicts with stored data: an id that is in the log with other content."""


class Gone(Refused):
    """The cursor expired, or the reader or the K-Block was erased."""


class Invalid(Refused):
    """A field or a parameter is wrong; `errors` has pairs of `field` and `message`."""


class Unreachable(HarkenClientError):
    """No usable answer came within `patience`. The call may be repeated."""


class QueueFull(HarkenClientError):
    """As many events wait to be sent as the queue may have. The event was not taken."""


class Closed(HarkenClientError):
    """The client was closed."""


class Undelivered(HarkenClientError):
    """Events were not sent in time; `events` has them, with their ids, to be sent again later."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = list(events)
        super().__init__(f"{len(self.events)} events were not sent in time")


KINDS: Mapping[int, type[Refused]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
}
