"""The log of interactions, and the statistics that are kept of it in the same transaction.

    feed_interactions            what happened, append-only: the truth
    feed_user_engagement_stats   counts per reader and K-Block: makes unique readers exact
    feed_engagement_stats        counts and attention score per K-Block
    feed_half_lives              over which half-lives the decayed counts of a K-Block are kept
    feed_contradictions          what readers said contradicts what
    feed_activity_minutes        counts per minute: activity over time, whatever the log's size
    feed_activity_totals         counts of everything

The activity tables are sharded by writer, so that no row is everybody's: readers add the shards up.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Float, Index, Integer, SmallInteger, String, Text
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


class Counters:
    """How often each action happened, and how long the views that were timed took together."""

    view_count: Mapped[int] = mapped_column(Integer, server_default="0")
    engage_count: Mapped[int] = mapped_column(Integer, server_default="0")
    dismiss_count: Mapped[int] = mapped_column(Integer, server_default="0")
    contradict_count: Mapped[int] = mapped_column(Integer, server_default="0")
    dwell_count: Mapped[int] = mapped_column(Integer, server_default="0")
    dwell_sum_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")


class FeedUserEngagementStats(Counters, Base):
    """What one reader did with one K-Block."""

    __tablename__ = "feed_user_engagement_stats"

    user_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    kblock_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    last_viewed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_engaged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Decayed:
    """Counts in which recent events weigh more, as logarithms; a number for each half-life.

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
    """What everybody did with one K-Block."""

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
    """A half-life over which counts are decayed; `slot` is the number of its columns."""

    __tablename__ = "feed_half_lives"

    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    seconds: Mapped[int] = mapped_column(Integer)


class FeedContradiction(Base):
    """How often readers said that a K-Block contradicts another."""

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
    """What happened in one UTC minute, as far as the writers of one shard recorded it."""

    __tablename__ = "feed_activity_minutes"

    minute: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)


class FeedActivityTotal(Counters, Base):
    """What happened at all, as far as the writers of one shard recorded it."""

    __tablename__ = "feed_activity_totals"

    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    view_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    engage_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    dismiss_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    contradict_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    dwell_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
