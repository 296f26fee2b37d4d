"""The search index, with the words of the K-Blocks that are there.

Revision: 0012, after 0011
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from harken.errors import SchemaMismatch
from harken.models.search import FTS5_TABLE, SEARCH_TABLE
from harken.services.kblocks.search import rows as search_rows

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

NO_FTS5 = "the SQLite of this Python has no FTS5, which search needs: use another build of Python"


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        try:
            op.execute(FTS5_TABLE)
        except sa.exc.OperationalError as error:
            raise (SchemaMismatch(NO_FTS5) if "fts5" in str(error.orig) else error) from error
    else:
        op.create_table(
            SEARCH_TABLE,
            sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
            sa.Column("digest", sa.String(80), nullable=False),
            sa.Column("heading", TSVECTOR, nullable=False),
            sa.Column("words", TSVECTOR, nullable=False),
            sa.PrimaryKeyConstraint("number", name="pk_kblock_search"),
        )
    fill(connection)
    if connection.dialect.name == "postgresql":
        # Made after the rows: that takes a tenth of the time.
        for name in ("heading", "words"):
            op.create_index(
                f"idx_kblock_search_{name}", SEARCH_TABLE, [name], postgresql_using="gin"
            )


def fill(connection: sa.Connection) -> None:
    """Write the rows of all K-Blocks; so many are in memory at a time as a step has."""
    used = search_rows.of_connection(connection)
    wanted, after = used.differing(), 0
    while True:
        rows = (
            connection.execute(wanted, {"after": after, "most": search_rows.STEP}).mappings().all()
        )
        if not rows:
            return
        values = [used.values(number, words) for number, words in search_rows.analysed(rows)]
        connection.execute(used.put, values)
        after = rows[-1]["number"]


def downgrade() -> None:
    op.execute(f"DROP TABLE {SEARCH_TABLE}")
