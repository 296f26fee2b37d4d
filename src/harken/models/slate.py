"""The ledger of served pages.

feed_slates    every page that was served
feed_orders    the first items of an order, stored for the pages after the first one
feed_secrets   keys of this database: for cursors, and for digests of erased ids
"""

from datetime import datetime

from sqlalchemy import BigInteger, Float, Index, Integer, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import Identifier, UtcDateTime


class FeedSlate(Base):
    """One served page; `settings`, `items`, `propensities` and `scores` are JSON.

    `scores` are those of the items. `log_sum_exp` is the logarithm of the sum of exp(score /
    temperature) over the order, if it was sampled with a temperature.
    """

    __tablename__ = "feed_slates"
    __table_args__ = (
        Index("idx_slate_created", "created_at"),
        Index("idx_slate_user", "user_id", "created_at"),
        Index(
            "idx_slate_experiment", "experiment_id", "experiment_version",
            postgresql_where=text("experiment_id IS NOT NULL"),
            sqlite_where=text("experiment_id IS NOT NULL"),
        ),
    )  # fmt: skip

    request_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    first_request_id: Mapped[str] = mapped_column(Identifier)  # of the same feed's first page
    user_id: Mapped[str] = mapped_column(Identifier)
    feed: Mapped[str] = mapped_column(String(64))
    ranking: Mapped[str] = mapped_column(String(64))
    settings: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[int] = mapped_column(Integer)  # of the first item
    items: Mapped[str] = mapped_column(Text)
    propensities: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    session_id: Mapped[str | None] = mapped_column(Identifier)
    experiment_id: Mapped[str | None] = mapped_column(Identifier)
    experiment_version: Mapped[int | None] = mapped_column(Integer)
    arm: Mapped[str | None] = mapped_column(String(64))
    scores: Mapped[str | None] = mapped_column(Text)
    log_sum_exp: Mapped[float | None] = mapped_column(Float)


class FeedOrder(Base):
    """The numbers of the first items of a feed, as little-endian 32-bit integers.

    If the order was sampled, their propensities follow, as little-endian doubles, and `scores` has
    the scores that it was sampled by, in the same form. The settings of the slate and of the cursor
    tell whether it was sampled. For an interleaved order, `sides` has one byte per number: the side
    that the item is of, or 0. For an order with swapped pairs it has their marks.
    """

    __tablename__ = "feed_orders"
    __table_args__ = (Index("idx_order_created", "created_at"),)

    request_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    numbers: Mapped[bytes] = mapped_column(LargeBinary)
    scores: Mapped[bytes | None] = mapped_column(LargeBinary)
    sides: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FeedSecret(Base):
    """A key that every process of this database shares."""

    __tablename__ = "feed_secrets"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(128))
