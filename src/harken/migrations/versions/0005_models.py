"""Models of the learned ranking, and their promotions.

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_models",
        sa.Column("model_id", Identifier, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("code_version", sa.String(64), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("features", sa.Text, nullable=False),
        sa.Column("metrics", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("checksum", sa.String(64), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("model_id", name="pk_feed_models"),
    )
    op.create_table(
        "feed_promotions",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("model_id", Identifier, nullable=False),
        sa.Column("promoted_at", UtcDateTime, nullable=False),
        sa.Column("rolled_back_at", UtcDateTime),
        sa.PrimaryKeyConstraint("number", name="pk_feed_promotions"),
    )


def downgrade() -> None:
    op.drop_table("feed_promotions")
    op.drop_table("feed_models")
