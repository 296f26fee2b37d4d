"""The dismissals, preferences and declared feeds of readers."""

from datetime import datetime

from sqlalchemy import Boolean, SmallInteger, Text, false, true
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
    """A reader's principles and preferences; labels are JSON lists.

    `weights` is a JSON object of weights by signal, and `interests` one of weights by kind and
    label.
    """

    __tablename__ = "feed_users"

    user_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    principles: Mapped[str] = mapped_column(Text)
    personalized: Mapped[bool] = mapped_column(Boolean, server_default=true())
    weights: Mapped[str] = mapped_column(Text, server_default="{}")
    muted_tags: Mapped[str] = mapped_column(Text, server_default="[]")
    muted_authors: Mapped[str] = mapped_column(Text, server_default="[]")
    muted_sources: Mapped[str] = mapped_column(Text, server_default="[]")
    most_per_source: Mapped[int | None] = mapped_column(SmallInteger)
    interests: Mapped[str] = mapped_column(Text, server_default="{}")
    hide_read: Mapped[bool] = mapped_column(Boolean, server_default=false())
    profile_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FeedDeclaration(Base):
    """A declared feed; `declaration` is a JSON object."""

    __tablename__ = "feed_declarations"

    feed_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    declaration: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
