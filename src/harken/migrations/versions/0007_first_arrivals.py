"""When K-Blocks first arrived: a date that lies after it by more than a day is not what counts.

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
    # Null for those that are there: their last change says as much as is known.
    for table in TABLES:
        op.add_column(table, sa.Column("received_at", UtcDateTime))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "received_at")
