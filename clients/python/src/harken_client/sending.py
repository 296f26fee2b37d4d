"""What both clients share: where and as whom calls are sent, what answers mean, and the pauses."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar, cast

import httpx

from harken_client.calls import Call
from harken_client.errors import KINDS, Refused

T = TypeVar("T")

AGAIN = frozenset({408, 425, 429})
"""Statuses below 500 that are sent again: timeout, too early, too many requests."""
MOST_PAUSE = 30.0
LONGEST_RETRY_AFTER = 3_600.0


@dataclass(frozen=True)
class Options:
    """Where and how calls are sent; see `Client`."""

    url: str
    prefix: str = "/api"
    key: str | None = None
    timeout: float = 10.0
    patience: float = 60.0
    first_pause: float = 0.2

    def __post_init__(self) -> None:
        """Raise ValueError for what is no address of a service."""
        if httpx.URL(self.url).scheme not in {"http", "https"}:
            raise ValueError(f"url must begin with http:// or https://, and is {self.url!r}")

    def request(self, call: Call[Any], token: str | None) -> dict[str, Any]:
        """Return the arguments of `httpx.Client.request`."""
        sent: dict[str, Any] = {
            "method": call.method,
            "url": f"{self.url.rstrip('/')}{self.prefix}{call.path}",
            "params": dict(call.params),
            "headers": self.headers(token),
            "timeout": self.timeout + call.more_seconds,
        }
        if call.body is not None:
            sent["json"] = call.body
        return sent

    def headers(self, token: str | None) -> dict[str, str]:
        """Return who sends a request. A token says who the reader is, so no key goes beside it."""
        if token:
            return {"Authorization": f"Bearer {token}"}
        return {"X-API-Key": self.key} if self.key else {}

    def pause(self, failures: int, least: float) -> float:
        """Return the seconds before a call is sent again; clients do not all return at once."""
        grown = min(MOST_PAUSE, self.first_pause * 2.0 ** min(failures, 30))
        return max(grown * random.uniform(0.5, 1), least)  # noqa: S311 — no secret


class Again(Exception):
    """An answer after which the same call may succeed, after so many seconds."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.seconds = seconds


def read(call: Call[T], response: httpx.Response) -> T:
    """Return the answer to a call. Raises Refused or Again."""
    status = response.status_code
    content = _json(response)
    if response.is_success:
        if isinstance(content, dict) and call.has in content:
            return cast("T", content)
        # Not the service, but for example the sign-in page of a network.
        raise Again(f"{response.url} answered {status}, and not as Harken does")
    if status in AGAIN or status >= 500:
        seconds = retry_after(response.headers.get("Retry-After"), time.time())
        raise Again(f"{response.url} answered {status}: {response.text[:200]}", seconds)
    problem = content if isinstance(content, dict) else {"title": response.reason_phrase}
    raise KINDS.get(status, Refused)(status, problem)


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def retry_after(header: str | None, now: float) -> float:
    """Return the seconds of `Retry-After`, given in seconds or as a date; at most an hour."""
    if header is None:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - now
        except ValueError:
            seconds = 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


Token = str | Callable[[], str | None] | None
"""A user token, or a function that returns one; None for who is not signed in."""
