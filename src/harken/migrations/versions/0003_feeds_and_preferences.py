"""Declared feeds, and preferences of readers.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_declarations",
        sa.Column("feed_id", Identifier, nullable=False),
        sa.Column("declaration", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("feed_id", name="pk_feed_declarations"),
    )
    for column in (
        sa.Column("personalized", sa.Boolean, server_default=sa.true(), nullable=False),
        sa.Column("weights", sa.Text, server_default="{}", nullable=False),
        sa.Column("muted_tags", sa.Text, server_default="[]", nullable=False),
        sa.Column("muted_authors", sa.Text, server_default="[]", nullable=False),
        sa.Column("profile_since", UtcDateTime),
    ):
        op.add_column("feed_users", column)


def downgrade() -> None:
    for name in ("profile_since", "muted_authors", "muted_tags", "weights", "personalized"):
        op.drop_column("feed_users", name)
    op.drop_table("feed_declarations")
