"""What readers have read, saved and say they are interested in; whether feeds hide what was read.

Revision: 0014, after 0013
"""

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Saves were events before there was a table of them.
SAVED = """
    INSERT INTO feed_saves (user_id, kblock_id, saved_at)
    SELECT user_id, kblock_id, max(created_at) FROM feed_interactions
    WHERE action = 'engage' AND interaction_type = 'save' AND user_id <> 'guest'
    GROUP BY user_id, kblock_id
"""


def upgrade() -> None:
    op.create_table(
        "feed_reads",
        sa.Column("user_id", Identifier, nullable=False),
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("kblock_id", Identifier, nullable=False),
        sa.Column("read_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "number", name="pk_feed_reads"),
    )
    op.create_index("idx_read_at", "feed_reads", ["user_id", "read_at"])
    op.create_index("idx_read_kblock", "feed_reads", ["kblock_id"])
    op.create_table(
        "feed_saves",
        sa.Column("user_id", Identifier, nullable=False),
        sa.Column("kblock_id", Identifier, nullable=False),
        sa.Column("saved_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "kblock_id", name="pk_feed_saves"),
    )
    op.create_index("idx_saved_at", "feed_saves", ["user_id", "saved_at"])
    op.add_column(
        "feed_users",
        sa.Column("hide_read", sa.Boolean, server_default=sa.false(), nullable=False),
    )
    op.add_column(
        "feed_users", sa.Column("interests", sa.Text, server_default="{}", nullable=False)
    )
    op.execute(SAVED)


def downgrade() -> None:
    op.drop_column("feed_users", "interests")
    op.drop_column("feed_users", "hide_read")
    op.drop_table("feed_saves")
    op.drop_table("feed_reads")
