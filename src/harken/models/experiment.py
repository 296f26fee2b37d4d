"""The tables of experiments.

feed_allocations     the versions of adaptive allocations
feed_experiments     every version of every experiment, with its state
feed_layer_slots     which experiment has which slot of a layer; no row for a free slot
feed_exposures       the first exposure of each reader, or of each session of a guest
feed_order_samples   whole orders with their scores, of a part of the first pages
"""

from datetime import datetime

from sqlalchemy import Boolean, Float, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import Identifier, UtcDateTime


class FeedExperiment(Base):
    """One version of an experiment. `definition` and `decision` are JSON."""

    __tablename__ = "feed_experiments"

    experiment_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    experiment_version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(String(16))
    definition: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stop_reason: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decision: Mapped[str | None] = mapped_column(Text)


class FeedLayerSlot(Base):
    """One slot of a layer that a running experiment has. The key keeps it from having two."""

    __tablename__ = "feed_layer_slots"

    layer: Mapped[str] = mapped_column(Identifier, primary_key=True)
    slot: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    experiment_id: Mapped[str] = mapped_column(Identifier)
    experiment_version: Mapped[int] = mapped_column(Integer)


class FeedExposure(Base):
    """One unit that came into an experiment: a reader, or a session of a guest.

    `guest_session` is empty for a reader, whose `user_id` names the unit; for a guest it names it.
    `propensity` is the probability with which the unit got this arm, by `allocation_version` of an
    adaptive allocation. `is_forced` marks testers, who
    are left out of the analysis.
    """

    __tablename__ = "feed_exposures"
    __table_args__ = (Index("idx_exposure_user", "user_id"),)

    experiment_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    experiment_version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    user_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    guest_session: Mapped[str] = mapped_column(Identifier, primary_key=True)
    arm: Mapped[str] = mapped_column(String(64))
    propensity: Mapped[float] = mapped_column(Float)
    is_personalized: Mapped[bool] = mapped_column(Boolean)
    is_forced: Mapped[bool] = mapped_column(Boolean)
    request_id: Mapped[str | None] = mapped_column(Identifier)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    allocation_version: Mapped[int | None] = mapped_column(Integer)


class FeedAllocation(Base):
    """One version of an adaptive allocation. `shares` is JSON, by arm.

    `readers` is how many it was computed from, `computed_by` names the process that did it.
    """

    __tablename__ = "feed_allocations"

    experiment_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    experiment_version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    allocation_version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    shares: Mapped[str] = mapped_column(Text)
    in_force_at: Mapped[datetime] = mapped_column(UtcDateTime)
    computed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    computed_by: Mapped[str] = mapped_column(String(128))
    readers: Mapped[int] = mapped_column(Integer)


class FeedOrderSample(Base):
    """One whole order with the scores that it was made by, kept as long as its slate.

    `numbers` are those of `feed_orders`; `scores` are little-endian doubles, one for each.
    """

    __tablename__ = "feed_order_samples"
    __table_args__ = (Index("idx_order_sample_created", "created_at"),)

    request_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    numbers: Mapped[bytes] = mapped_column(LargeBinary)
    scores: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
