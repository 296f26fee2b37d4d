"""On PostgreSQL the log is partitioned by ranges of ids, and the present table is its default.

No row is read or moved, and no index is built: names change, and the table is attached. Recording
waits for that as for any change of a table. SQLite has no partitions.

Revision: 0019, after 0018
"""

from alembic import op

from harken.migrations import log_partitions

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        log_partitions.partition(connection)


def downgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        log_partitions.join(connection)
