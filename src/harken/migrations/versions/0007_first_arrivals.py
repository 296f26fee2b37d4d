"""The first arrivals of K-Blocks: a date more than a day after it is not used in rankings.

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op

from harken.models.types import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = ("kblocks", "kblock_versions")


def upgrade() -> None:
    # Null for existing rows: the time of their last change is used instead.
    for table in TABLES:
        op.add_column(table, sa.Column("received_at", UtcDateTime))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "received_at")
