"""Erasures: what must not be recorded again, and receipts of what was removed.

feed_tombstones        readers and K-Blocks whose events are refused
feed_tombstone_clock   one row, whose token is replaced whenever the tombstones change
feed_erasures          receipts: what was removed, how much, and when

No id of a reader is in these tables: a digest is an HMAC with the key `erasure` of `feed_secrets`.
"""

from datetime import datetime

from sqlalchemy import Index, Integer, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import Identifier, UtcDateTime


class FeedTombstone(Base):
    """One reader or K-Block whose events are refused."""

    __tablename__ = "feed_tombstones"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    subject: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FeedTombstoneClock(Base):
    """The version of the tombstones, as a random token; the only row has the id 1."""

    __tablename__ = "feed_tombstone_clock"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    token: Mapped[str] = mapped_column(String(64))


class FeedErasure(Base):
    """The receipt of one erasure; `counts` is a JSON object: removed rows by kind."""

    __tablename__ = "feed_erasures"
    __table_args__ = (Index("idx_erasure_digest", "digest"),)

    receipt_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    subject: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64))
    began_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    counts: Mapped[str] = mapped_column(Text)
    models: Mapped[int] = mapped_column(Integer)  # that may have been trained with the events
