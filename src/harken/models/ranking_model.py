"""Models of the learned ranking.

feed_models       every trained model, with its metrics
feed_promotions   which models were put in service, and which promotions were rolled back
"""

from datetime import datetime

from sqlalchemy import Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import Identifier, UtcDateTime


class FeedModel(Base):
    """One model; `model` is LightGBM's text, the other texts are JSON."""

    __tablename__ = "feed_models"

    model_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    code_version: Mapped[str] = mapped_column(String(64))
    data: Mapped[str] = mapped_column(Text)  # which part of the log, and how much
    features: Mapped[str] = mapped_column(Text)
    metrics: Mapped[str] = mapped_column(Text)
    details: Mapped[str] = mapped_column(Text)  # how it was trained
    checksum: Mapped[str] = mapped_column(String(64))  # of the model's text, SHA-256
    model: Mapped[str] = mapped_column(Text)
    # How many erasures removed events that it may have been trained with.
    erasures: Mapped[int] = mapped_column(Integer, server_default="0")


class FeedPromotion(Base):
    """One promotion; the model of the latest one that was not rolled back is in service."""

    __tablename__ = "feed_promotions"

    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    model_id: Mapped[str] = mapped_column(Identifier)
    promoted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    rolled_back_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
