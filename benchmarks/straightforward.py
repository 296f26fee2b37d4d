"""A straightforward service for comparison: FastAPI, pydantic, SQLAlchemy, a session per event.

It is correct under concurrency and durable: a row lock keeps the counts exact, and it answers after
the commit. It stores less than Harken: two tables, no exact unique readers, no activity over time.
It has no avoidable slowness.
"""

import argparse
import json
import random
from asyncio import sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import BigInteger, DateTime, Index, String, Text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils import uuid7

from harken.domain.attention import attention_score

POOL_SIZE = 20
ATTEMPTS = 5


class Base(DeclarativeBase):
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012 — as documented


class FeedInteraction(Base):
    __tablename__ = "feed_interactions"
    __table_args__ = (
        Index("idx_user_kblock", "user_id", "kblock_id"),
        Index("idx_user_timestamp", "user_id", "created_at"),
        Index("idx_kblock_action", "kblock_id", "action"),
        Index("idx_timestamp", "created_at"),
    )

    # Collated by bytes like Harken's columns, so that the indexes of both cost the same.
    id: Mapped[str] = mapped_column(String(64, collation="C"), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64, collation="C"))
    kblock_id: Mapped[str] = mapped_column(String(64, collation="C"))
    action: Mapped[str] = mapped_column(String(32))
    dwell_time_ms: Mapped[int | None]
    interaction_type: Mapped[str | None] = mapped_column(String(64))
    interaction_metadata: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class FeedEngagementStats(Base):
    __tablename__ = "feed_engagement_stats"
    __table_args__ = (
        Index("idx_attention_score", "attention_score"),
        Index("idx_last_engaged", "last_engaged_at"),
    )

    kblock_id: Mapped[str] = mapped_column(String(64, collation="C"), primary_key=True)
    view_count: Mapped[int] = mapped_column(default=0)
    engage_count: Mapped[int] = mapped_column(default=0)
    dismiss_count: Mapped[int] = mapped_column(default=0)
    contradict_count: Mapped[int] = mapped_column(default=0)
    dwell_count: Mapped[int] = mapped_column(default=0)
    dwell_sum_ms: Mapped[int] = mapped_column(BigInteger, default=0)
    attention_score: Mapped[float] = mapped_column(default=0.0)
    last_viewed_at: Mapped[datetime | None]
    last_engaged_at: Mapped[datetime | None]
    avg_dwell_time_sec: Mapped[float | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Action(StrEnum):
    VIEW = "view"
    ENGAGE = "engage"
    DISMISS = "dismiss"
    CONTRADICT = "contradict"


class Event(BaseModel):
    user_id: str = Field(min_length=1, max_length=64)
    kblock_id: str = Field(min_length=1, max_length=64)
    action: Action
    dwell_time_ms: int | None = Field(None, ge=0)
    interaction_type: str | None = Field(None, max_length=64)
    metadata: dict[str, Any] | None = None
    interaction_id: str | None = Field(None, min_length=1, max_length=64)


class Recording(BaseModel):
    success: bool = True
    interaction_id: str


def create_app(database_url: str) -> FastAPI:
    engine = create_async_engine(database_url, pool_size=POOL_SIZE, max_overflow=0)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/api/feed/feedback/record")
    async def record(event: Event) -> Recording:
        interaction_id = event.interaction_id or str(uuid7())
        for attempt in range(ATTEMPTS):
            try:
                async with sessions() as session:
                    if attempt == 0 or not await _is_recorded(session, interaction_id):
                        await _record(session, event, interaction_id)
                return Recording(interaction_id=interaction_id)
            except IntegrityError:
                # Another request inserted the K-Block's row meanwhile; the next attempt updates it.
                await sleep(random.uniform(0, 0.01))
        raise HTTPException(503, "too much contention; try again")

    return app


async def _is_recorded(session: AsyncSession, interaction_id: str) -> bool:
    earlier: FeedInteraction | None = await session.get(FeedInteraction, interaction_id)
    return earlier is not None


async def _record(session: AsyncSession, event: Event, interaction_id: str) -> None:
    now = datetime.now(UTC)
    session.add(
        FeedInteraction(
            id=interaction_id,
            user_id=event.user_id,
            kblock_id=event.kblock_id,
            action=event.action.value,
            dwell_time_ms=event.dwell_time_ms,
            interaction_type=event.interaction_type,
            interaction_metadata=None if event.metadata is None else json.dumps(event.metadata),
            created_at=now,
            updated_at=now,
        )
    )
    # Flushed first, so that the row lock below is held as briefly as possible.
    await session.flush()
    stats = await session.get(FeedEngagementStats, event.kblock_id, with_for_update=True)
    if stats is None:
        zeros: dict[str, Any] = dict.fromkeys(
            ("view_count", "engage_count", "dismiss_count", "contradict_count"), 0
        )
        stats = FeedEngagementStats(
            kblock_id=event.kblock_id, dwell_count=0, dwell_sum_ms=0, created_at=now, **zeros
        )
        session.add(stats)
    _count(stats, event, now)
    await session.commit()


def _count(stats: FeedEngagementStats, event: Event, now: datetime) -> None:
    match event.action:
        case Action.VIEW:
            stats.view_count += 1
            stats.last_viewed_at = now
            if event.dwell_time_ms is not None:
                stats.dwell_count += 1
                stats.dwell_sum_ms += event.dwell_time_ms
                stats.avg_dwell_time_sec = stats.dwell_sum_ms / (1000 * stats.dwell_count)
        case Action.ENGAGE:
            stats.engage_count += 1
            stats.last_engaged_at = now
        case Action.DISMISS:
            stats.dismiss_count += 1
        case Action.CONTRADICT:
            stats.contradict_count += 1
    stats.attention_score = attention_score(
        stats.view_count, stats.engage_count, stats.dismiss_count
    )
    stats.updated_at = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    uvicorn.run(
        create_app(options.database_url),
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
    )


if __name__ == "__main__":
    main()
