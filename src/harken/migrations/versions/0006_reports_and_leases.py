"""Reports of whether the feed is getting better, and leases.

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_reports",
        sa.Column("report_id", Identifier, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("code_version", sa.String(64), nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("report_id", name="pk_feed_reports"),
    )
    op.create_table(
        "feed_leases",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_feed_leases"),
    )


def downgrade() -> None:
    op.drop_table("feed_leases")
    op.drop_table("feed_reports")
