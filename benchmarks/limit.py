"""A lower bound of the cost of recording: a bare ASGI app with the same group commit.

It has no framework, no routing, no settings and checks only types; msgspec decodes and encodes. The
transaction, its group commit and its tables are those of Harken.
"""

import random
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from sqlalchemy.ext.asyncio import async_sessionmaker
from uuid_utils import uuid7

from benchmarks.bare_asgi import send_json, serve
from harken.config import Settings
from harken.database import Database, create_engine
from harken.domain.feedback import LogEntry
from harken.services.record.admission.outcomes import Outcome, Recorded
from harken.services.record.admission.tombstones import Tombstones
from harken.services.record.group_commit import GroupCommit
from harken.services.record.transaction import append


class Event(msgspec.Struct):
    user_id: str
    kblock_id: str
    action: Literal["view", "engage", "dismiss", "contradict"]
    dwell_time_ms: int | None = None
    interaction_type: str | None = None
    interaction_id: str | None = None


class Answer(msgspec.Struct):
    success: bool
    interaction_id: str


class Limit:
    def __init__(self, database_url: str) -> None:
        engine = create_engine(Settings(database_url=database_url))
        self._database = Database(async_sessionmaker(engine))
        self._tombstones = Tombstones(self._database)
        self._shards = random.sample(range(16), 2)
        self._commits = GroupCommit(self._append, 20_000, 2)
        self._decode = msgspec.json.Decoder(Event).decode
        self._encode = msgspec.json.Encoder().encode

    async def _append(self, entries: list[LogEntry], writer: int) -> list[Outcome]:
        return await append(self._database, entries, self._shards[writer], self._tombstones)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        body = (await receive())["body"]
        if scope["method"] == "GET":
            answer = b"{}"
        else:
            event = self._decode(body)
            entry = LogEntry(
                event.interaction_id or str(uuid7()), event.user_id, event.kblock_id,
                event.action, event.dwell_time_ms, event.interaction_type, None,
                datetime.now(UTC), None, None, None,
            )  # fmt: skip
            [outcome] = await self._commits.submit([entry])
            if not isinstance(outcome, Recorded):
                raise outcome
            answer = self._encode(Answer(True, outcome.interaction_id))
        await send_json(send, answer)


if __name__ == "__main__":
    serve(Limit)
