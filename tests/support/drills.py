"""What drills of outages share: asking a server, for how long it took, and what it logged."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, NamedTuple
from uuid import uuid4

import httpx

from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import session_factory_for

BEGAN = "The database cannot be used: "
ENDED = "The database can be used again, "
CONDITION_SECONDS = 60
POLL_SECONDS = 0.02

# Short, so that a drill is; what is asserted is that an answer comes at all, whatever is slow.
QUICK = {
    "HARKEN_DATABASE_CONNECT_TIMEOUT": "1",
    "HARKEN_DATABASE_COMMAND_TIMEOUT": "1",
    "HARKEN_READINESS_TIMEOUT": "0.5",
    "HARKEN_SHUTDOWN_TIMEOUT": "8",
}


class Answer(NamedTuple):
    """An answer, and after how many seconds it came."""

    status: int
    body: dict[str, Any]
    seconds: float


def client_of(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=CONDITION_SECONDS, trust_env=False)


def event(**fields: Any) -> dict[str, Any]:
    return {"interaction_id": str(uuid4()), "user_id": "u", "kblock_id": "k", "action": "view"} | (
        fields
    )


async def record(client: httpx.AsyncClient, sent: dict[str, Any] | None = None) -> Answer:
    return await _asked(client.post("/api/feed/feedback/record", json=sent or event()))


async def readiness(client: httpx.AsyncClient) -> Answer:
    return await _asked(client.get("/readyz"))


async def until(client: httpx.AsyncClient, wanted: int) -> Answer:
    """Ask until the server is ready, or is not; returns the answer, with the time that it took."""
    begun = time.monotonic()
    async with asyncio.timeout(CONDITION_SECONDS):
        while True:
            answer = await readiness(client)
            if answer.status == wanted:
                break
            await asyncio.sleep(POLL_SECONDS)
    return answer._replace(seconds=time.monotonic() - begun)


async def logged(url: str) -> set[str]:
    """Return the ids of the log, after the statistics were compared with it."""
    async with (
        session_factory_for(url) as session_factory,
        FeedFeedbackPersistence(session_factory) as persistence,
    ):
        found = await persistence.verify()
        assert found.differences == 0, found.examples
        ids = [entry.id async for page in persistence.entries() for entry in page]
    assert len(ids) == len(set(ids)) == found.events
    return set(ids)


async def _asked(requests: Awaitable[httpx.Response]) -> Answer:
    begun = time.monotonic()
    answer = await requests
    return Answer(answer.status_code, answer.json(), time.monotonic() - begun)


def report(drill: str, **figures: Any) -> None:
    """Print the figures of a drill; `pytest -rP` shows them."""
    told = ", ".join(
        f"{name} {value:.2f} s" if isinstance(value, float) else f"{name} {value}"
        for name, value in figures.items()
    )
    print(f"{drill}: {told}")
