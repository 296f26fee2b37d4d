"""What the program keeps for itself.

feed_reports   the latest answers to whether the feed is getting better
feed_leases    who may do what only one process should do at a time, and until when
"""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import Identifier, UtcDateTime


class FeedReport(Base):
    """One report, as JSON. It has sums over readers and names none of them."""

    __tablename__ = "feed_reports"

    report_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    code_version: Mapped[str] = mapped_column(String(64))
    report: Mapped[str] = mapped_column(Text)


class FeedLease(Base):
    """One lease; by the database's clock, its holder has it until it expires."""

    __tablename__ = "feed_leases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
