"""What readers wrote about K-Blocks."""

from datetime import datetime

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import Identifier, UtcDateTime


class FeedComment(Base):
    """A comment as it reads now; its event in the log keeps the text as it was first written.

    `comment_id` is the id of that event.
    """

    __tablename__ = "feed_comments"
    __table_args__ = (
        Index("idx_comment_kblock", "kblock_id", "created_at"),
        Index("idx_comment_user", "user_id"),
    )

    comment_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    user_id: Mapped[str] = mapped_column(Identifier)
    kblock_id: Mapped[str] = mapped_column(Identifier)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    edited_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
