"""Tables of the record: the log of interactions, and its statistics."""

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_interactions",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("user_id", Identifier, nullable=False),
        sa.Column("kblock_id", Identifier, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("dwell_time_ms", sa.Integer),
        sa.Column("interaction_type", sa.String(64)),
        sa.Column("interaction_metadata", sa.Text),
        sa.Column("request_id", sa.String(64)),
        sa.Column("position", sa.Integer),
        sa.Column("session_id", sa.String(64)),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feed_interactions"),
    )
    op.create_index("idx_user_kblock", "feed_interactions", ["user_id", "kblock_id"])
    op.create_index("idx_user_timestamp", "feed_interactions", ["user_id", "created_at"])
    op.create_index("idx_kblock_action", "feed_interactions", ["kblock_id", "action"])
    op.create_index("idx_timestamp", "feed_interactions", ["created_at"])

    op.create_table(
        "feed_user_engagement_stats",
        sa.Column("user_id", Identifier, nullable=False),
        sa.Column("kblock_id", Identifier, nullable=False),
        *_counters(sa.Integer),
        sa.Column("last_viewed_at", UtcDateTime),
        sa.Column("last_engaged_at", UtcDateTime),
        sa.PrimaryKeyConstraint("user_id", "kblock_id", name="pk_feed_user_engagement_stats"),
    )

    op.create_table(
        "feed_engagement_stats",
        sa.Column("kblock_id", Identifier, nullable=False),
        *_counters(sa.Integer),
        sa.Column("attention_score", sa.Float, nullable=False, server_default="0.0"),
        sa.Column("last_viewed_at", UtcDateTime),
        sa.Column("last_engaged_at", UtcDateTime),
        sa.Column("avg_dwell_time_sec", sa.Float),
        sa.Column("unique_viewers", sa.Integer, nullable=False, server_default="0"),
        sa.Column("unique_engagers", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("kblock_id", name="pk_feed_engagement_stats"),
    )
    op.create_index("idx_attention_score", "feed_engagement_stats", ["attention_score"])
    op.create_index("idx_last_engaged", "feed_engagement_stats", ["last_engaged_at"])

    op.create_table(
        "feed_activity_minutes",
        sa.Column("minute", UtcDateTime, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False, autoincrement=False),
        *_counters(sa.Integer),
        sa.PrimaryKeyConstraint("minute", "shard", name="pk_feed_activity_minutes"),
    )

    op.create_table(
        "feed_activity_totals",
        sa.Column("shard", sa.SmallInteger, nullable=False, autoincrement=False),
        *_counters(sa.BigInteger),
        sa.PrimaryKeyConstraint("shard", name="pk_feed_activity_totals"),
    )


def _counters(count: type[sa.types.TypeEngine[int]]) -> list[sa.Column[int]]:
    columns = {
        "view_count": count,
        "engage_count": count,
        "dismiss_count": count,
        "contradict_count": count,
        "dwell_count": count,
        "dwell_sum_ms": sa.BigInteger,
    }
    return [
        sa.Column(name, kind, nullable=False, server_default="0") for name, kind in columns.items()
    ]


def downgrade() -> None:
    op.drop_table("feed_activity_totals")
    op.drop_table("feed_activity_minutes")
    op.drop_table("feed_engagement_stats")
    op.drop_table("feed_user_engagement_stats")
    op.drop_table("feed_interactions")
