"""Events are numbered by the transaction that recorded them, for who follows the log.

Revision: 0018, after 0017
"""

import sqlalchemy as sa
from alembic import op

from harken.migrations import log_order

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

LOG = "feed_interactions"

# On SQLite a number is one more than the highest. It must not come again when the events with the
# highest numbers are erased.
TRIGGER = """
    CREATE TRIGGER feed_interactions_numbers AFTER DELETE ON feed_interactions
    WHEN OLD.transaction_number > (SELECT floor FROM feed_log_order)
    BEGIN UPDATE feed_log_order SET floor = OLD.transaction_number; END
"""


def upgrade() -> None:
    op.create_table(
        "feed_log_order",
        sa.Column("id", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("floor", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("shift", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("has_unnumbered", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feed_log_order"),
    )
    # Null for the events of before: neither a rewrite nor a scan of the table.
    op.add_column(LOG, sa.Column("transaction_number", sa.BigInteger, nullable=True))
    op.execute(
        "INSERT INTO feed_log_order (id, has_unnumbered) "
        "SELECT 1, EXISTS (SELECT 1 FROM feed_interactions)"
    )
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        # A default, so that an older version of the service numbers its events, too.
        log_order.number_from(connection, 0)
        if log_order.is_large(connection):
            return  # `log_order.complete` builds the index while events are recorded
    else:
        op.execute(TRIGGER)
    op.create_index(
        log_order.INDEX,
        LOG,
        ["transaction_number"],
        postgresql_where=log_order.IS_NUMBERED,
        sqlite_where=log_order.IS_NUMBERED,
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER feed_interactions_numbers")
    op.drop_index(log_order.INDEX, LOG)
    op.drop_column(LOG, "transaction_number")
    op.drop_table("feed_log_order")
