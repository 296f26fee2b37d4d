"""The table of API keys.

feed_keys   keys of services and of public pages, each as the hash of its secret
"""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import UtcDateTime


class FeedKey(Base):
    """One key. It is valid until `expires_at` or `revoked_at`; its row stays after that."""

    __tablename__ = "feed_keys"

    key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    scopes: Mapped[str] = mapped_column(Text)  # JSON: names of scopes
    origins: Mapped[str] = mapped_column(Text)  # JSON: origins of the pages that may use it
    sha256: Mapped[str] = mapped_column(String(64))  # of the secret, in hex
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
