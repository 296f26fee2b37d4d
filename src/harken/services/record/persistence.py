"""Recording of interactions, and queries over the record."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from uuid_utils import uuid7

from harken.database import Database, Kind
from harken.domain.attention import DEFAULT_PRIOR
from harken.domain.feedback import FeedbackAction, Interaction, LogEntry
from harken.domain.times import LATEST_TIME, window
from harken.errors import HarkenError, InvalidInput, Problem
from harken.event_loop import Interruptible
from harken.models.types import Unit
from harken.services.record import analytics, verification
from harken.services.record.admission.outcomes import Outcome, Recorded
from harken.services.record.admission.quarantines import counts as is_counted
from harken.services.record.admission.tombstones import Tombstones
from harken.services.record.attention_scores import AttentionScores
from harken.services.record.group_commit import GROUP_SIZE, CommitObserver, GroupCommit
from harken.services.record.statistics import KBLOCKS
from harken.services.record.transaction import LOG, append
from harken.services.record.writing import shards
from harken.unreadable_rows import Unreadable

DAY = timedelta(days=1)
MOST_KBLOCKS = 100
MOST_POINTS = 1_500
EXPORT_PAGE = 5_000
QUEUE_LIMIT = 20_000

STEP = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": DAY}


Subscriber = Callable[[Sequence[LogEntry]], None]


@dataclass(frozen=True)
class Rejection:
    """An event of a batch that was not recorded: its index in the batch, and the error."""

    index: int
    error: HarkenError


@dataclass
class BatchResult:
    """The results of a batch: every event is accepted, a duplicate, or rejected."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejection] = field(default_factory=list)


def _now() -> datetime:
    return datetime.now(UTC)


class FeedFeedbackPersistence:
    """The record of interactions in one database.

    Concurrent calls share transactions. An object can be used in one event loop only.
    """

    def __init__(
        self,
        session_factory: async_sessionmaker[AsyncSession],
        *,
        schema: str | None = None,
        queue_limit: int = QUEUE_LIMIT,
        attention_prior: float = DEFAULT_PRIOR,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        """Use a given session factory, for PostgreSQL (asyncpg) or SQLite (aiosqlite).

        `schema` is the PostgreSQL schema of the tables; None means the default one. `queue_limit`
        is the number of events that may wait for their commit. `attention_prior` is the number of a
        reader's interactions that weigh as much as the attention score of all readers. Raises
        InvalidInput unless that is a finite number greater than 0.
        """
        self._database = Database(session_factory, schema)
        self._clock = clock
        self.tombstones = Tombstones(self._database)
        self.has_rivals = self._database.is_postgresql
        """Whether writers with the same shard wait for each other; on SQLite all do."""
        writers = shards.WRITERS if self.has_rivals else 1
        self._shards = shards.drawn(writers)
        self._commits = GroupCommit(
            self._append, queue_limit, writers, self._database.command_timeout
        )
        self._scores = AttentionScores(self._database, attention_prior)
        self._subscribers: list[Subscriber] = []
        self._unreadable = Unreadable()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Accept no more events, and return when the waiting ones are committed or refused.

        Cancelling this call discards the waiting events.
        """
        await self._commits.close()

    @property
    def queue_depth(self) -> int:
        """The number of events that wait for their commit."""
        return self._commits.depth

    def observe_commits(self, observer: CommitObserver | None) -> None:
        """Tell an observer of each transaction that records events."""
        self._commits.observer = observer

    # Recording

    async def record_interaction(
        self,
        user_id: str,
        kblock_id: str,
        action: FeedbackAction | str,
        dwell_time_ms: int | None = None,
        interaction_type: str | None = None,
        metadata: dict[str, Any] | None = None,
        **optional: Any,
    ) -> str:
        """Record one interaction, and return its id after the commit.

        `optional` are the other fields of `Interaction`: interaction_id, occurred_at, sent_at,
        request_id, position, session_id. Raises InvalidInput, IdConflict, Erased or Unavailable.
        """
        fields = {
            "user_id": user_id,
            "kblock_id": kblock_id,
            "action": action,
            "dwell_time_ms": dwell_time_ms,
            "interaction_type": interaction_type,
            "metadata": metadata,
        }
        return (await self.record(Interaction.parse(fields | optional))).interaction_id

    async def record(self, interaction: Interaction) -> Recorded:
        """Record one interaction; the result tells whether it is a duplicate.

        Raises IdConflict, Erased or Unavailable.
        """
        [outcome] = await self._commits.submit([self._entry(interaction)])
        if isinstance(outcome, HarkenError):
            raise outcome
        return outcome

    async def record_batch(self, events: Sequence[Interaction | Mapping[str, Any]]) -> BatchResult:
        """Record many interactions, given as objects or as fields; invalid ones are rejected alone.

        So are those of a reader or a K-Block that was erased, or from before the log's begin.
        Raises Unavailable if the database does not answer. Then some events may have been recorded.
        Events with ids can be sent again safely.
        """
        result = BatchResult()
        good: list[tuple[int, LogEntry]] = []
        loop = Interruptible()
        for index, event in enumerate(events):
            await loop.pause()
            try:
                good.append((index, self._entry(_interaction(event))))
            except InvalidInput as error:
                result.rejected.append(Rejection(index, error))
        for start in range(0, len(good), GROUP_SIZE):
            chunk = good[start : start + GROUP_SIZE]
            outcomes = await self._commits.submit([entry for _, entry in chunk])
            for (index, _), outcome in zip(chunk, outcomes, strict=True):
                _tally(result, index, outcome)
        result.rejected.sort(key=lambda rejection: rejection.index)
        return result

    def _entry(self, interaction: Interaction) -> LogEntry:
        return interaction.entry(received_at=self._clock(), new_id=str(uuid7()))

    async def _append(self, entries: list[LogEntry], writer: int) -> list[Outcome]:
        outcomes = await append(self._database, entries, self._shards[writer], self.tombstones)
        if self._subscribers:
            new = [
                entry for entry, outcome in zip(entries, outcomes, strict=True) if _is_new(outcome)
            ]
            for subscriber in self._subscribers:
                subscriber(new)
        return outcomes

    def write_as(self, slot: int) -> None:
        """Write to the shards of a slot, which no other process has."""
        self._shards = shards.of_slot(slot, len(self._shards))

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with the new entries of each group, after its commit.

        The call happens before the callers of the group get their outcomes.
        """
        self._subscribers.append(subscriber)

    # Reading

    async def get_attention_score(
        self, user_id: str, kblock_id: str, *, personalized: bool = True
    ) -> float:
        """Return the attention score of a K-Block in [0, 1]; 0 without interactions.

        For a named reader it is `personal_attention`: their own score, shrunk towards that of all
        readers by the number of their views, engagements and dismissals of the K-Block since the
        last reset of their profile. It is the score of all readers for a guest, for a reader with
        no such interaction or with personalisation off, and if `personalized` is false.
        """
        if personalized:
            return await self._scores.personal(user_id, kblock_id)
        return await self._scores.overall(kblock_id)

    async def get_interaction_stats(self, user_id: str, kblock_id: str) -> dict[str, int]:  # noqa: ARG002
        """Return the numbers of views, engagements and dismissals of a K-Block by all readers."""
        columns = (KBLOCKS.c.view_count, KBLOCKS.c.engage_count, KBLOCKS.c.dismiss_count)
        async with self._database.reading() as connection:
            found = await connection.execute(
                select(*columns).where(KBLOCKS.c.kblock_id == kblock_id)
            )
            row = found.one_or_none() or (0, 0, 0)
        return dict(zip(("views", "engagements", "dismissals"), row, strict=True))

    async def get_analytics(self, limit: int = 20, min_interactions: int = 1) -> dict[str, Any]:
        """Return the most engaging K-Blocks, totals, and the interactions of the last 24 hours.

        There are at most `limit` (1 to 100) K-Blocks with at least `min_interactions` interactions,
        by attention score. The mean dwell time is in seconds; None if no view was timed. Raises
        InvalidInput or DatabaseUnavailable.
        """
        _check("limit", limit, 1, MOST_KBLOCKS)
        _check("min_interactions", min_interactions, 0, 2**31 - 1)
        now = self._clock()
        async with self._database.reading_anywhere(Kind.SNAPSHOT) as connection:
            top = await connection.execute(analytics.most_engaged(limit, min_interactions))
            kblocks = [dict(row) for row in top.mappings()]
            totals = (await connection.execute(analytics.totals())).one()
            recent = await analytics.interactions_between(connection, now - DAY, now)
        return {
            "most_engaged_kblocks": kblocks,
            "totals": {
                "views": totals.view_count,
                "engagements": totals.engage_count,
                "dismissals": totals.dismiss_count,
                "avg_dwell_time_sec": _mean_seconds(totals.dwell_sum_ms, totals.dwell_count),
            },
            "recent_activity": {"interactions_24h": recent},
        }

    async def count(self) -> int:
        """Return the number of recorded events, from the totals."""
        return sum((await self.counts()).values())

    async def counts(self) -> dict[str, int]:
        """Return the number of recorded events by action, from the totals."""
        async with self._database.reading() as connection:
            totals = (await connection.execute(analytics.totals())).mappings().one()
        return {name.removesuffix("_count"): totals[name] for name in analytics.ACTIONS}

    async def get_timeseries(
        self, bucket: Unit = "hour", since: datetime | None = None, until: datetime | None = None
    ) -> dict[str, Any]:
        """Return counts per minute, hour or day, with a point for each, also for empty ones.

        The points are from the bucket of `since` (default: a day before `until`) to the bucket of
        `until` (default: now), at most 1,500. Raises InvalidInput or DatabaseUnavailable.
        """
        starts = _starts(bucket, *window(since, until, self._clock(), DAY))
        end = min(starts[-1] + STEP[bucket], LATEST_TIME)
        async with self._database.reading_anywhere() as connection:
            found = await connection.execute(analytics.timeseries(bucket, starts[0], end))
            counted = {row.start: row for row in found}
        return {"bucket": bucket, "points": [_point(at, counted.get(at)) for at in starts]}

    async def entries(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        counting: bool = False,
    ) -> AsyncIterator[list[LogEntry]]:
        """Yield the log in pages, in chronological order, from one snapshot.

        The entries are from `since` to before `until`; None means no bound. With `counting`, those
        that are set aside are left out.
        """
        columns = [LOG.c[name] for name in LogEntry._fields]
        wanted = select(*columns).order_by(LOG.c.created_at, LOG.c.id)
        if since is not None:
            wanted = wanted.where(LOG.c.created_at >= since)
        if until is not None:
            wanted = wanted.where(LOG.c.created_at < until)
        if counting:
            wanted = wanted.where(is_counted(LOG))
        async with self._database.reading_anywhere(Kind.BULK_READ) as connection:
            rows = await connection.stream(wanted)
            async for page in rows.partitions(EXPORT_PAGE):
                for row in page:
                    if row.created_at is None:
                        self._unreadable.name("event", row.id, "its created_at is not a valid time")
                yield [LogEntry(*row) for row in page if row.created_at is not None]

    # Verification

    async def verify(self) -> verification.Verification:
        """Recount the log, and compare every statistic with it, in one snapshot."""
        return await verification.verify(self._database)

    async def rebuild(self, half_lives: Sequence[timedelta] | None = None) -> int:
        """Rebuild every statistic from the log; returns the number of events in it.

        `half_lives` (1 to 4) replace the half-lives of the decayed counts.
        """
        return await verification.rebuild(self._database, half_lives)


def _interaction(event: Interaction | Mapping[str, Any]) -> Interaction:
    if isinstance(event, Interaction):
        return event
    if not isinstance(event, Mapping):
        raise InvalidInput(
            Problem("", "an event must be an object with user_id, kblock_id and action")
        )
    return Interaction.parse(event)


def _tally(result: BatchResult, index: int, outcome: Outcome) -> None:
    if isinstance(outcome, HarkenError):
        result.rejected.append(Rejection(index, outcome))
    elif outcome.duplicate:
        result.duplicates += 1
    else:
        result.accepted += 1


def _is_new(outcome: Outcome) -> bool:
    return isinstance(outcome, Recorded) and not outcome.duplicate


def _check(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InvalidInput(Problem(name, f"must be from {least} to {most}"))


def _mean_seconds(sum_ms: int, count: int) -> float | None:
    return sum_ms / (1000 * count) if count else None


def _starts(bucket: Unit, since: datetime, until: datetime) -> list[datetime]:
    if bucket not in STEP:
        raise InvalidInput(Problem("bucket", f"must be one of {', '.join(STEP)}"))
    step = STEP[bucket]
    first, last = _floor(since, bucket), _floor(until, bucket)
    if not first <= last:
        raise InvalidInput(Problem("since", "must not be after until"))
    if (points := (last - first) // step + 1) > MOST_POINTS:
        raise InvalidInput(
            Problem("bucket", f"{points} points are too many; the most is {MOST_POINTS}")
        )
    return [first + step * i for i in range(points)]


def _floor(at: datetime, bucket: Unit) -> datetime:
    at = at.replace(second=0, microsecond=0)
    if bucket != "minute":
        at = at.replace(minute=0)
    return at.replace(hour=0) if bucket == "day" else at


def _point(start: datetime, counted: Any) -> dict[str, Any]:
    if counted is None:
        views = engagements = dismissals = contradictions = dwell_count = dwell_sum = 0
    else:
        views, engagements, dismissals, contradictions, dwell_count, dwell_sum = map(
            int, counted[1:]
        )
    return {
        "start": start,
        "views": views,
        "engagements": engagements,
        "dismissals": dismissals,
        "contradictions": contradictions,
        "avg_dwell_time_sec": _mean_seconds(dwell_sum, dwell_count),
    }
