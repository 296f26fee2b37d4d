"""The K-Blocks, and what makes a page of a feed repeatable while they change.

    kblocks           every K-Block, as it is now; a deleted one stays as an empty row
    kblock_edges      what a K-Block says about others
    kblock_versions   what K-Blocks were sorted and filtered by, for as long as cursors live
    kblock_clock      one row that every writer of K-Blocks locks and counts up

The clock makes writers take turns. So whoever reads `revision` has, in the same snapshot, exactly
the K-Blocks of that revision: none of them can be committed later.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Float, Index, SmallInteger, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import Identifier, UtcDateTime


class Sorted:
    """What a feed sorts and filters by, besides what readers did; labels are JSON lists."""

    layer: Mapped[int | None] = mapped_column(SmallInteger)
    kind: Mapped[str] = mapped_column(String(64))
    author: Mapped[str | None] = mapped_column(String(64))
    tags: Mapped[str] = mapped_column(Text, server_default="[]")
    principles: Mapped[str] = mapped_column(Text, server_default="[]")
    galois_loss: Mapped[float | None] = mapped_column(Float)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When it first arrived; null where that was not noted: not after it was written last.
    received_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class KBlockRow(Sorted, Base):
    """One K-Block."""

    __tablename__ = "kblocks"
    __table_args__ = (
        Index("idx_kblock_number", "number", unique=True),
        Index("idx_kblock_revision", "revision"),
        Index("idx_kblock_source", "source"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)  # its short name, never given again
    revision: Mapped[int] = mapped_column(BigInteger)  # when an index has to look at it again
    version: Mapped[int] = mapped_column(BigInteger)  # when `Sorted`, or its presence, changed
    digest: Mapped[str] = mapped_column(String(64))
    source: Mapped[str | None] = mapped_column(String(255))  # the importer that keeps it
    path: Mapped[str | None] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    preview: Mapped[str] = mapped_column(Text)
    content: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted: Mapped[bool] = mapped_column(Boolean, server_default=false())


class KBlockEdge(Base):
    """One K-Block's word about another; the target need not exist."""

    __tablename__ = "kblock_edges"
    __table_args__ = (Index("idx_kblock_edge_target", "target_id", "kind"),)

    source_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    target_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)


class KBlockVersion(Sorted, Base):
    """What a K-Block was from one revision to before another."""

    __tablename__ = "kblock_versions"
    __table_args__ = (Index("idx_kblock_superseded", "superseded_at"),)

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    until: Mapped[int] = mapped_column(BigInteger)
    superseded_at: Mapped[datetime] = mapped_column(UtcDateTime)


class KBlockClock(Base):
    """How often K-Blocks were written, and the last number given; its one row has id 1."""

    __tablename__ = "kblock_clock"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(BigInteger)
    last_number: Mapped[int] = mapped_column(BigInteger)
