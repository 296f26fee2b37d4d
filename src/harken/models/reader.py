"""What readers want: what they hide, and what they declare."""

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import Identifier, UtcDateTime


class FeedDismissal(Base):
    """A K-Block that is hidden from a reader."""

    __tablename__ = "feed_dismissals"

    user_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    kblock_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    dismissed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FeedUser(Base):
    """What a reader declared; `principles` is a JSON list."""

    __tablename__ = "feed_users"

    user_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    principles: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
