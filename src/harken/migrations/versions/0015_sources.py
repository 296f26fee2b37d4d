"""Feeds that are subscribed to, with the state of their refresh; muted sources and their cap.

Revision: 0015, after 0014
"""

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_sources",
        sa.Column("source_id", Identifier, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("given_title", sa.Text),
        sa.Column("site_url", sa.Text),
        sa.Column("added_by", Identifier),
        sa.Column("added_at", UtcDateTime, nullable=False),
        sa.Column("etag", sa.Text),
        sa.Column("last_modified", sa.Text),
        sa.Column("digest", sa.String(64)),
        sa.Column("checked_at", UtcDateTime),
        sa.Column("succeeded_at", UtcDateTime),
        sa.Column("error", sa.Text),
        sa.Column("failures", sa.Integer, server_default="0", nullable=False),
        sa.Column("is_gone", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("due_at", UtcDateTime),
        sa.PrimaryKeyConstraint("source_id", name="pk_feed_sources"),
    )
    op.create_index("idx_source_name", "feed_sources", ["name"], unique=True)
    op.create_index("idx_source_due", "feed_sources", ["due_at"])
    op.add_column(
        "feed_users", sa.Column("muted_sources", sa.Text, server_default="[]", nullable=False)
    )
    op.add_column("feed_users", sa.Column("most_per_source", sa.SmallInteger))


def downgrade() -> None:
    op.drop_column("feed_users", "most_per_source")
    op.drop_column("feed_users", "muted_sources")
    op.drop_table("feed_sources")
