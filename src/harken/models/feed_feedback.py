"""The log of interactions, and the statistics that the same transaction updates.

    feed_interactions            all interactions; the source of all statistics
    feed_user_engagement_stats   counts per reader and K-Block: makes unique readers exact
    feed_engagement_stats        counts and attention score per K-Block
    feed_half_lives              the half-lives of the decayed counts
    feed_contradictions          pairs of K-Blocks that readers reported as contradicting
    feed_activity_minutes        counts per minute, whose cost is independent of the log's size
    feed_activity_totals         counts of all interactions
    feed_log_order               how the numbers of transactions in the log go on

The activity tables are sharded by writer, so that writers do not wait for the same row. Queries add
up the shards.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Float, Index, Integer, SmallInteger, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import Identifier, UtcDateTime


class FeedInteraction(Base):
    """One interaction, as it was recorded."""

    __tablename__ = "feed_interactions"
    __table_args__ = (
        Index("idx_user_kblock", "user_id", "kblock_id"),
        Index("idx_user_timestamp", "user_id", "created_at"),
        Index("idx_kblock_action", "kblock_id", "action"),
        Index("idx_timestamp", "created_at"),
        Index(
            "idx_transaction_number",
            "transaction_number",
            postgresql_where=text("transaction_number IS NOT NULL"),
            sqlite_where=text("transaction_number IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    user_id: Mapped[str] = mapped_column(Identifier)
    kblock_id: Mapped[str] = mapped_column(Identifier)
    action: Mapped[str] = mapped_column(String(32))
    dwell_time_ms: Mapped[int | None] = mapped_column(Integer)
    interaction_type: Mapped[str | None] = mapped_column(String(64))
    interaction_metadata: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(String(64))
    position: Mapped[int | None] = mapped_column(Integer)
    session_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # Of the transaction that recorded it; null before schema 0018. PostgreSQL fills it in.
    transaction_number: Mapped[int | None] = mapped_column(BigInteger)


class FeedLogOrder(Base):
    """One row: how `transaction_number` goes on.

    floor: on SQLite the highest number of an event that was removed.
    shift: on PostgreSQL what is added to the id of a transaction.
    has_unnumbered: whether the log began before events had numbers.
    """

    __tablename__ = "feed_log_order"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    floor: Mapped[int] = mapped_column(BigInteger, server_default="0")
    shift: Mapped[int] = mapped_column(BigInteger, server_default="0")
    has_unnumbered: Mapped[bool] = mapped_column(Boolean)


class Counters:
    """Counts per action, the number of timed views, and their total duration in milliseconds."""

    view_count: Mapped[int] = mapped_column(Integer, server_default="0")
    engage_count: Mapped[int] = mapped_column(Integer, server_default="0")
    dismiss_count: Mapped[int] = mapped_column(Integer, server_default="0")
    contradict_count: Mapped[int] = mapped_column(Integer, server_default="0")
    dwell_count: Mapped[int] = mapped_column(Integer, server_default="0")
    dwell_sum_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")


class FeedUserEngagementStats(Counters, Base):
    """Statistics of one reader and one K-Block."""

    __tablename__ = "feed_user_engagement_stats"

    user_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    kblock_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    last_viewed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_engaged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Decayed:
    """Decayed counts as natural logarithms, one for each action and slot of a half-life.

    See `harken.domain.decay`. Null is the logarithm of 0.
    """

    decayed_views_1: Mapped[float | None] = mapped_column(Float)
    decayed_views_2: Mapped[float | None] = mapped_column(Float)
    decayed_views_3: Mapped[float | None] = mapped_column(Float)
    decayed_views_4: Mapped[float | None] = mapped_column(Float)
    decayed_engagements_1: Mapped[float | None] = mapped_column(Float)
    decayed_engagements_2: Mapped[float | None] = mapped_column(Float)
    decayed_engagements_3: Mapped[float | None] = mapped_column(Float)
    decayed_engagements_4: Mapped[float | None] = mapped_column(Float)
    decayed_dismissals_1: Mapped[float | None] = mapped_column(Float)
    decayed_dismissals_2: Mapped[float | None] = mapped_column(Float)
    decayed_dismissals_3: Mapped[float | None] = mapped_column(Float)
    decayed_dismissals_4: Mapped[float | None] = mapped_column(Float)


class FeedEngagementStats(Counters, Decayed, Base):
    """Statistics of all readers for one K-Block."""

    __tablename__ = "feed_engagement_stats"
    __table_args__ = (
        Index("idx_attention_score", "attention_score"),
        Index("idx_last_engaged", "last_engaged_at"),
        Index("idx_engagement_updated", "updated_at"),
    )

    kblock_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    attention_score: Mapped[float] = mapped_column(Float, server_default="0.0")
    last_viewed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_engaged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    avg_dwell_time_sec: Mapped[float | None] = mapped_column(Float)
    unique_viewers: Mapped[int] = mapped_column(Integer, server_default="0")
    unique_engagers: Mapped[int] = mapped_column(Integer, server_default="0")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FeedHalfLife(Base):
    """A half-life of the decayed counts; `slot` is the suffix of its columns."""

    __tablename__ = "feed_half_lives"

    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    seconds: Mapped[int] = mapped_column(Integer)


class FeedContradiction(Base):
    """How often readers reported that a K-Block contradicts another."""

    __tablename__ = "feed_contradictions"
    __table_args__ = (
        Index("idx_contradiction_other", "other_id"),
        Index("idx_contradiction_updated", "updated_at"),
    )

    kblock_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    other_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    contradict_count: Mapped[int] = mapped_column(Integer, server_default="0")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FeedActivityMinute(Counters, Base):
    """Counts of one UTC minute, as recorded by the writers of one shard."""

    __tablename__ = "feed_activity_minutes"

    minute: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)


class FeedActivityTotal(Counters, Base):
    """Counts of all time, as recorded by the writers of one shard."""

    __tablename__ = "feed_activity_totals"

    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    view_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    engage_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    dismiss_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    contradict_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    dwell_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
