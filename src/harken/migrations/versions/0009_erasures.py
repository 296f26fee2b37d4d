"""Erasures: tombstones, receipts, and how many of them a model may know.

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_tombstones",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(16), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_feed_tombstones"),
    )
    op.create_table(
        "feed_tombstone_clock",
        sa.Column("id", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feed_tombstone_clock"),
    )
    op.create_table(
        "feed_erasures",
        sa.Column("receipt_id", Identifier, nullable=False),
        sa.Column("subject", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("began_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("models", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("receipt_id", name="pk_feed_erasures"),
    )
    op.create_index("idx_erasure_digest", "feed_erasures", ["digest"])
    op.add_column(
        "feed_models",
        sa.Column("erasures", sa.Integer, nullable=False, server_default="0"),
    )


def downgrade() -> None:
    op.drop_column("feed_models", "erasures")
    op.drop_table("feed_erasures")
    op.drop_table("feed_tombstone_clock")
    op.drop_table("feed_tombstones")
