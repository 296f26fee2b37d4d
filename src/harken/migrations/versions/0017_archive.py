"""Old events may be dropped from the log: what they count is kept as a baseline.

Revision: 0017, after 0016
"""

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

COUNTERS = ("view_count", "engage_count", "dismiss_count", "contradict_count", "dwell_count")
DECAYED = [
    f"decayed_{what}_{slot}"
    for what in ("views", "engagements", "dismissals")
    for slot in range(1, 5)
]


def counters() -> list[sa.Column[int]]:
    counts = [sa.Column(name, sa.Integer, server_default="0", nullable=False) for name in COUNTERS]
    return [*counts, sa.Column("dwell_sum_ms", sa.BigInteger, server_default="0", nullable=False)]


def upgrade() -> None:
    op.create_table(
        "feed_log_start",
        sa.Column("id", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("complete_since", UtcDateTime, nullable=True),
        sa.Column("archive_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feed_log_start"),
    )
    op.create_table(
        "feed_baseline_readers",
        sa.Column("kblock_id", Identifier, nullable=False),
        sa.Column("user_id", Identifier, nullable=False),
        *counters(),
        *(sa.Column(name, sa.Float, nullable=True) for name in DECAYED),
        sa.Column("last_viewed_at", UtcDateTime, nullable=True),
        sa.Column("last_engaged_at", UtcDateTime, nullable=True),
        sa.Column("first_recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("kblock_id", "user_id", name="pk_feed_baseline_readers"),
    )
    op.create_index("idx_baseline_reader", "feed_baseline_readers", ["user_id"])
    op.create_table(
        "feed_baseline_contradictions",
        sa.Column("kblock_id", Identifier, nullable=False),
        sa.Column("user_id", Identifier, nullable=False),
        sa.Column("other_id", Identifier, nullable=False),
        sa.Column("contradict_count", sa.Integer, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint(
            "kblock_id", "user_id", "other_id", name="pk_feed_baseline_contradictions"
        ),
    )
    op.create_index(
        "idx_baseline_contradiction_reader", "feed_baseline_contradictions", ["user_id"]
    )
    op.create_table(
        "feed_baseline_minutes",
        sa.Column("minute", UtcDateTime, nullable=False),
        *counters(),
        sa.PrimaryKeyConstraint("minute", name="pk_feed_baseline_minutes"),
    )
    op.create_table(
        "feed_archive_files",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("first_at", UtcDateTime, nullable=False),
        sa.Column("last_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_feed_archive_files"),
    )
    op.create_index("idx_archive_day", "feed_archive_files", ["day"])


def downgrade() -> None:
    for name in (
        "feed_archive_files", "feed_baseline_minutes", "feed_baseline_contradictions",
        "feed_baseline_readers", "feed_log_start",
    ):  # fmt: skip
        op.drop_table(name)
