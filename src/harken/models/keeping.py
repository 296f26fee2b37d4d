"""Tables for the program itself.

feed_reports   the latest reports of whether the feed is getting better
feed_leases    leases for tasks that only one process may run at a time
"""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import Identifier, UtcDateTime


class FeedReport(Base):
    """One report, as JSON. It contains sums over readers, and no reader's id."""

    __tablename__ = "feed_reports"

    report_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    code_version: Mapped[str] = mapped_column(String(64))
    report: Mapped[str] = mapped_column(Text)


class FeedLease(Base):
    """One lease. Its holder has it until `expires_at` by the database's clock."""

    __tablename__ = "feed_leases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
