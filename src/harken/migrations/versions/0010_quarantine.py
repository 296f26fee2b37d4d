"""Quarantine: rules, the events that they set aside, the audit, and alerts.

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_quarantines",
        sa.Column("quarantine_id", Identifier, nullable=False),
        sa.Column("target", sa.String(16), nullable=False),
        sa.Column("subject_id", Identifier, nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("alert_id", Identifier),
        sa.Column("first_recorded_at", UtcDateTime),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("settled_at", UtcDateTime),
        sa.PrimaryKeyConstraint("quarantine_id", name="pk_feed_quarantines"),
    )
    op.create_index(
        "idx_quarantine_subject", "feed_quarantines", ["target", "subject_id"], unique=True
    )
    op.create_table(
        "feed_set_aside",
        sa.Column("interaction_id", Identifier, nullable=False),
        sa.Column("quarantine_id", Identifier, nullable=False),
        sa.PrimaryKeyConstraint("interaction_id", "quarantine_id", name="pk_feed_set_aside"),
    )
    op.create_index("idx_set_aside_quarantine", "feed_set_aside", ["quarantine_id"])
    op.create_table(
        "feed_quarantine_acts",
        sa.Column("entry_id", Identifier, nullable=False),
        sa.Column("act_id", Identifier, nullable=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("target", sa.String(16), nullable=False),
        sa.Column("subject_id", Identifier),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("alert_id", Identifier),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name="pk_feed_quarantine_acts"),
    )
    op.create_index("idx_quarantine_act_at", "feed_quarantine_acts", ["created_at"])
    op.create_index("idx_quarantine_act_subject", "feed_quarantine_acts", ["target", "subject_id"])
    _create_alerts()


def _create_alerts() -> None:
    op.create_table(
        "feed_alerts",
        sa.Column("alert_id", Identifier, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("detector", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject_id", Identifier, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("began_at", UtcDateTime),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("found_at", UtcDateTime, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("decided_by", sa.String(64)),
        sa.Column("decided_at", UtcDateTime),
        sa.Column("note", sa.Text),
        sa.PrimaryKeyConstraint("alert_id", name="pk_feed_alerts"),
    )
    op.create_index("idx_alert_fingerprint", "feed_alerts", ["fingerprint"], unique=True)
    op.create_index("idx_alert_found", "feed_alerts", ["found_at"])
    op.create_table(
        "feed_alert_members",
        sa.Column("alert_id", Identifier, nullable=False),
        sa.Column("member_id", Identifier, nullable=False),
        sa.PrimaryKeyConstraint("alert_id", "member_id", name="pk_feed_alert_members"),
    )
    op.create_index("idx_alert_member", "feed_alert_members", ["member_id"])


def downgrade() -> None:
    for name in (
        "feed_alert_members", "feed_alerts", "feed_quarantine_acts", "feed_set_aside",
        "feed_quarantines",
    ):  # fmt: skip
        op.drop_table(name)
