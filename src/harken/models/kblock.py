"""The K-Blocks, and their earlier versions, which keep the pages of a feed consistent.

    kblocks           every K-Block in its current version; a deleted one stays as an empty row
    kblock_edges      edges from K-Blocks to others
    kblock_versions   earlier values of the sorted and filtered columns, until all cursors expired
    kblock_clock      one row that every writer of K-Blocks locks and increments
    feed_sources      the feeds that are subscribed to, and the state of their last refresh

The clock serialises writers. So a snapshot that contains a `revision` contains exactly the K-Blocks
of that revision: none of them can be committed later.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Float, Index, Integer, SmallInteger, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from harken.models.base import Base
from harken.models.types import Identifier, UtcDateTime


class SortColumns:
    """The columns that a feed sorts and filters by, without statistics; labels are JSON lists."""

    layer: Mapped[int | None] = mapped_column(SmallInteger)
    kind: Mapped[str] = mapped_column(String(64))
    author: Mapped[str | None] = mapped_column(String(64))
    tags: Mapped[str] = mapped_column(Text, server_default="[]")
    principles: Mapped[str] = mapped_column(Text, server_default="[]")
    galois_loss: Mapped[float | None] = mapped_column(Float)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When it first arrived; null for rows of earlier versions, which arrived by `updated_at`.
    received_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class KBlockRow(SortColumns, Base):
    """One K-Block."""

    __tablename__ = "kblocks"
    __table_args__ = (
        Index("idx_kblock_number", "number", unique=True),
        Index("idx_kblock_revision", "revision"),
        Index("idx_kblock_source", "source"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)  # its id in indexes; never reused
    revision: Mapped[int] = mapped_column(BigInteger)  # at which an index must read it again
    version: Mapped[int] = mapped_column(BigInteger)  # when `SortColumns` or `deleted` changed
    digest: Mapped[str] = mapped_column(String(64))
    source: Mapped[str | None] = mapped_column(String(255))  # the importer that wrote it
    path: Mapped[str | None] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    preview: Mapped[str] = mapped_column(Text)
    content: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted: Mapped[bool] = mapped_column(Boolean, server_default=false())


class KBlockEdge(Base):
    """An edge from a K-Block to another; the target need not exist."""

    __tablename__ = "kblock_edges"
    __table_args__ = (Index("idx_kblock_edge_target", "target_id", "kind"),)

    source_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    target_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)


class KBlockVersion(SortColumns, Base):
    """The values of a K-Block from revision `version` to before revision `until`."""

    __tablename__ = "kblock_versions"
    __table_args__ = (Index("idx_kblock_superseded", "superseded_at"),)

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    until: Mapped[int] = mapped_column(BigInteger)
    superseded_at: Mapped[datetime] = mapped_column(UtcDateTime)


class KBlockClock(Base):
    """The current revision and the last number of a K-Block; the only row has the id 1."""

    __tablename__ = "kblock_clock"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(BigInteger)
    last_number: Mapped[int] = mapped_column(BigInteger)


class FeedSource(Base):
    """A feed on the web that is subscribed to; `name` is the `source` of its K-Blocks.

    `title` is what the feed calls itself, and `given_title` what a person calls it. `due_at` is
    null where nothing is to be asked: after a 410, or if refreshing is off. `digest` is that of the
    last document, SHA-256 in hex.
    """

    __tablename__ = "feed_sources"
    __table_args__ = (
        Index("idx_source_name", "name", unique=True),
        Index("idx_source_due", "due_at"),
    )

    source_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    url: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    given_title: Mapped[str | None] = mapped_column(Text)
    site_url: Mapped[str | None] = mapped_column(Text)
    added_by: Mapped[str | None] = mapped_column(Identifier)
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)
    etag: Mapped[str | None] = mapped_column(Text)
    last_modified: Mapped[str | None] = mapped_column(Text)
    digest: Mapped[str | None] = mapped_column(String(64))
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    succeeded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    is_gone: Mapped[bool] = mapped_column(Boolean, server_default=false())
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
