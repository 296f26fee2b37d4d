"""Quarantine: which events of the log count nothing, by which rule, and who decided it.

feed_quarantines       the rules in force: readers, sessions and events that are set aside
feed_set_aside         the events of the log that a rule sets aside, one row for each rule
feed_quarantine_acts   the audit: one row for each reader, session or event of each act
feed_alerts            what detectors found
feed_alert_members     the readers, sessions or K-Blocks that an alert names

An event counts in the statistics unless it is in `feed_set_aside`.
"""

from datetime import datetime

from sqlalchemy import Float, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import Identifier, UtcDateTime


class FeedQuarantine(Base):
    """One reader, session or event that is set aside."""

    __tablename__ = "feed_quarantines"
    __table_args__ = (Index("idx_quarantine_subject", "target", "subject_id", unique=True),)

    quarantine_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    target: Mapped[str] = mapped_column(String(16))  # reader, session or event
    subject_id: Mapped[str] = mapped_column(Identifier)
    created_by: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    alert_id: Mapped[str | None] = mapped_column(Identifier)
    first_recorded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When the transactions had ended that began before this rule; null if that is not known yet.
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FeedSetAside(Base):
    """One event of the log that a rule sets aside."""

    __tablename__ = "feed_set_aside"
    __table_args__ = (Index("idx_set_aside_quarantine", "quarantine_id"),)

    interaction_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    quarantine_id: Mapped[str] = mapped_column(Identifier, primary_key=True)


class FeedQuarantineAct(Base):
    """What was done to one reader, session or event; the id is null after their erasure."""

    __tablename__ = "feed_quarantine_acts"
    __table_args__ = (
        Index("idx_quarantine_act_at", "created_at"),
        Index("idx_quarantine_act_subject", "target", "subject_id"),
    )

    entry_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    act_id: Mapped[str] = mapped_column(Identifier)
    act: Mapped[str] = mapped_column(String(16))  # quarantine or release
    target: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[str | None] = mapped_column(Identifier)
    created_by: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    alert_id: Mapped[str | None] = mapped_column(Identifier)
    events: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FeedAlert(Base):
    """What a detector found; `evidence` is a JSON object, times are those of the events."""

    __tablename__ = "feed_alerts"
    __table_args__ = (
        Index("idx_alert_fingerprint", "fingerprint", unique=True),
        Index("idx_alert_found", "found_at"),
    )

    alert_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))  # of the detector and whom it names
    detector: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))  # reader, session, kblock or stream
    subject_id: Mapped[str] = mapped_column(Identifier)
    score: Mapped[float] = mapped_column(Float)
    began_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    evidence: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))  # open, dismissed or quarantined
    found_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)  # when it was found last
    decided_by: Mapped[str | None] = mapped_column(String(64))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    note: Mapped[str | None] = mapped_column(Text)


class FeedAlertMember(Base):
    """One reader, session or K-Block that an alert names."""

    __tablename__ = "feed_alert_members"
    __table_args__ = (Index("idx_alert_member", "member_id"),)

    alert_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    member_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
