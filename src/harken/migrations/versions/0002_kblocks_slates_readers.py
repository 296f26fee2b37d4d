"""K-Blocks, slates and readers.

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_contradictions",
        sa.Column("kblock_id", Identifier, nullable=False),
        sa.Column("other_id", Identifier, nullable=False),
        sa.Column("contradict_count", sa.Integer, server_default="0", nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("kblock_id", "other_id", name="pk_feed_contradictions"),
    )
    op.create_index("idx_contradiction_other", "feed_contradictions", ["other_id"])
    op.create_index("idx_contradiction_updated", "feed_contradictions", ["updated_at"])

    op.create_table(
        "feed_dismissals",
        sa.Column("user_id", Identifier, nullable=False),
        sa.Column("kblock_id", Identifier, nullable=False),
        sa.Column("dismissed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "kblock_id", name="pk_feed_dismissals"),
    )
    op.create_table(
        "feed_orders",
        sa.Column("request_id", Identifier, nullable=False),
        sa.Column("numbers", sa.LargeBinary, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_feed_orders"),
    )
    op.create_index("idx_order_created", "feed_orders", ["created_at"])

    op.create_table(
        "feed_secrets",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_feed_secrets"),
    )
    op.create_table(
        "feed_slates",
        sa.Column("request_id", Identifier, nullable=False),
        sa.Column("first_request_id", Identifier, nullable=False),
        sa.Column("user_id", Identifier, nullable=False),
        sa.Column("feed", sa.String(64), nullable=False),
        sa.Column("ranking", sa.String(64), nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("items", sa.Text, nullable=False),
        sa.Column("propensities", sa.Text),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_feed_slates"),
    )
    op.create_index("idx_slate_created", "feed_slates", ["created_at"])
    op.create_index("idx_slate_user", "feed_slates", ["user_id", "created_at"])

    op.create_table(
        "feed_users",
        sa.Column("user_id", Identifier, nullable=False),
        sa.Column("principles", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_feed_users"),
    )
    op.create_table(
        "kblock_clock",
        sa.Column("id", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("last_number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_kblock_clock"),
    )
    op.create_table(
        "kblock_edges",
        sa.Column("source_id", Identifier, nullable=False),
        sa.Column("target_id", Identifier, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("source_id", "target_id", "kind", name="pk_kblock_edges"),
    )
    op.create_index("idx_kblock_edge_target", "kblock_edges", ["target_id", "kind"])

    op.create_table(
        "kblock_versions",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("superseded_at", UtcDateTime, nullable=False),
        sa.Column("layer", sa.SmallInteger),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("author", sa.String(64)),
        sa.Column("tags", sa.Text, server_default="[]", nullable=False),
        sa.Column("principles", sa.Text, server_default="[]", nullable=False),
        sa.Column("galois_loss", sa.Float),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("number", "version", name="pk_kblock_versions"),
    )
    op.create_index("idx_kblock_superseded", "kblock_versions", ["superseded_at"])

    op.create_table(
        "kblocks",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("source", sa.String(255)),
        sa.Column("path", sa.Text),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("preview", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("deleted", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("layer", sa.SmallInteger),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("author", sa.String(64)),
        sa.Column("tags", sa.Text, server_default="[]", nullable=False),
        sa.Column("principles", sa.Text, server_default="[]", nullable=False),
        sa.Column("galois_loss", sa.Float),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_kblocks"),
    )
    op.create_index("idx_kblock_number", "kblocks", ["number"], unique=True)
    op.create_index("idx_kblock_revision", "kblocks", ["revision"])
    op.create_index("idx_kblock_source", "kblocks", ["source"])

    op.create_index("idx_engagement_updated", "feed_engagement_stats", ["updated_at"])

    op.execute("INSERT INTO kblock_clock (id, revision, last_number) VALUES (1, 0, 0)")
    # Fill the new tables from the dismissals and contradictions that the log has already.
    op.execute(
        """
        INSERT INTO feed_dismissals (user_id, kblock_id, dismissed_at)
        SELECT user_id, kblock_id, max(created_at) FROM feed_interactions
        WHERE action = 'dismiss' AND user_id <> 'guest' GROUP BY user_id, kblock_id
        """
    )
    op.execute(_CONTRADICTIONS[op.get_bind().dialect.name])


_CONTRADICTIONS = {
    "postgresql": """
        INSERT INTO feed_contradictions
            (kblock_id, other_id, contradict_count, created_at, updated_at)
        SELECT kblock_id, other_id, count(*), now(), now() FROM (
            SELECT kblock_id, CASE
                WHEN action = 'contradict'
                    AND json_typeof(interaction_metadata::json -> 'contradicts') = 'string'
                THEN interaction_metadata::json ->> 'contradicts' END AS other_id
            FROM feed_interactions) AS said
        WHERE length(other_id) BETWEEN 1 AND 64 AND other_id <> kblock_id
        GROUP BY kblock_id, other_id
        """,
    "sqlite": """
        INSERT INTO feed_contradictions
            (kblock_id, other_id, contradict_count, created_at, updated_at)
        SELECT kblock_id, other_id, count(*),
            strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
        FROM (
            SELECT kblock_id, CASE
                WHEN action = 'contradict'
                    AND json_type(interaction_metadata, '$.contradicts') = 'text'
                THEN json_extract(interaction_metadata, '$.contradicts') END AS other_id
            FROM feed_interactions) AS said
        WHERE length(other_id) BETWEEN 1 AND 64 AND other_id <> kblock_id
        GROUP BY kblock_id, other_id
        """,
}


def downgrade() -> None:
    op.drop_index("idx_engagement_updated", table_name="feed_engagement_stats")
    for table in (
        "kblocks", "kblock_versions", "kblock_edges", "kblock_clock", "feed_users", "feed_slates",
        "feed_secrets", "feed_orders", "feed_dismissals", "feed_contradictions",
    ):  # fmt: skip
        op.drop_table(table)
