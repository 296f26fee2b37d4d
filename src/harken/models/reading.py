"""What a reader has read, and what they saved for later."""

from datetime import datetime

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import Identifier, UtcDateTime


class FeedRead(Base):
    """A K-Block that a reader has read; one without a row is unread.

    `number` is the K-Block's number in indexes, by which feeds leave out what was read.
    """

    __tablename__ = "feed_reads"
    __table_args__ = (
        Index("idx_read_at", "user_id", "read_at"),
        Index("idx_read_kblock", "kblock_id"),
    )

    user_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kblock_id: Mapped[str] = mapped_column(Identifier)
    read_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FeedSave(Base):
    """A K-Block that a reader saved for later."""

    __tablename__ = "feed_saves"
    __table_args__ = (Index("idx_saved_at", "user_id", "saved_at"),)

    user_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    kblock_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    saved_at: Mapped[datetime] = mapped_column(UtcDateTime)
