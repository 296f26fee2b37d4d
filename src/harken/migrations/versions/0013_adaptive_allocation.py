"""The versions of adaptive allocations, and which one an exposure comes from.

Revision: 0013, after 0012
"""

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_allocations",
        sa.Column("experiment_id", Identifier, nullable=False),
        sa.Column("experiment_version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("allocation_version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("shares", sa.Text, nullable=False),
        sa.Column("in_force_at", UtcDateTime, nullable=False),
        sa.Column("computed_at", UtcDateTime, nullable=False),
        sa.Column("computed_by", sa.String(128), nullable=False),
        sa.Column("readers", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint(
            "experiment_id", "experiment_version", "allocation_version", name="pk_feed_allocations"
        ),
    )
    op.add_column("feed_exposures", sa.Column("allocation_version", sa.Integer))


def downgrade() -> None:
    op.drop_column("feed_exposures", "allocation_version")
    op.drop_table("feed_allocations")
