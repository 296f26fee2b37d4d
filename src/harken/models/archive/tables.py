"""What is left in the database of events that were dropped from the log.

    feed_log_start                one row: since when the log is complete, and the name of its files
    feed_baseline_readers         what dropped events count, per K-Block and reader
    feed_baseline_contradictions  the contradictions that dropped events report, per reader
    feed_baseline_minutes         what dropped events count, per minute
    feed_archive_files            the files with the dropped events

Each statistic is the baseline plus what the log counts.
"""

from datetime import date, datetime

from sqlalchemy import Date, Index, Integer, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.feed_feedback import Counters, Decayed
from harken.models.types import Identifier, UtcDateTime


class FeedLogStart(Base):
    """Since when the log is complete; the only row has the id 1.

    `archive_id` is in the manifest of each folder with files of this database.
    """

    __tablename__ = "feed_log_start"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    complete_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    archive_id: Mapped[str] = mapped_column(String(64))


class FeedBaselineReader(Counters, Decayed, Base):
    """What dropped events of one reader with one K-Block count."""

    __tablename__ = "feed_baseline_readers"
    __table_args__ = (Index("idx_baseline_reader", "user_id"),)

    kblock_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    user_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    last_viewed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_engaged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    first_recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FeedBaselineContradiction(Base):
    """How often one reader reported, in dropped events, that a K-Block contradicts another."""

    __tablename__ = "feed_baseline_contradictions"
    __table_args__ = (Index("idx_baseline_contradiction_reader", "user_id"),)

    kblock_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    user_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    other_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    contradict_count: Mapped[int] = mapped_column(Integer, server_default="0")


class FeedBaselineMinute(Counters, Base):
    """What dropped events of one UTC minute count."""

    __tablename__ = "feed_baseline_minutes"

    minute: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)


class FeedArchiveFile(Base):
    """One file with dropped events; `name` is its path within the folder."""

    __tablename__ = "feed_archive_files"
    __table_args__ = (Index("idx_archive_day", "day"),)

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    folder: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(String(255))
    day: Mapped[date] = mapped_column(Date)
    events: Mapped[int] = mapped_column(Integer)
    first_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
