"""Decayed counts: recent events weigh more.

Revision: 0004, after 0003
"""

import math

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime, greatest, utc_micros

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SLOTS = range(1, 5)
HOUR = 3_600
HALF_LIVES = {1: 6 * HOUR, 2: 24 * HOUR, 3: 7 * 24 * HOUR}
SUMS = {
    "view": "decayed_views",
    "engage": "decayed_engagements",
    "dismiss": "decayed_dismissals",
}
LANDMARK = 1_735_689_600_000_000  # 2025-01-01 in microseconds since 1970


def upgrade() -> None:
    half_lives = op.create_table(
        "feed_half_lives",
        sa.Column("slot", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("seconds", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("slot", name="pk_feed_half_lives"),
    )
    rows = [{"slot": slot, "seconds": seconds} for slot, seconds in HALF_LIVES.items()]
    op.bulk_insert(half_lives, rows)
    for name in SUMS.values():
        for slot in SLOTS:
            op.add_column("feed_engagement_stats", sa.Column(f"{name}_{slot}", sa.Float))
    _count()


def downgrade() -> None:
    for name in SUMS.values():
        for slot in SLOTS:
            op.drop_column("feed_engagement_stats", f"{name}_{slot}")
    op.drop_table("feed_half_lives")


def _count() -> None:
    """Fill the new columns from the log."""
    log = sa.table(
        "feed_interactions",
        sa.column("kblock_id", Identifier),
        sa.column("action", sa.String),
        sa.column("created_at", UtcDateTime),
    )
    names = [f"{name}_{slot}" for name in SUMS.values() for slot in HALF_LIVES]
    kblocks = sa.table(
        "feed_engagement_stats",
        sa.column("kblock_id", Identifier),
        *(sa.column(name, sa.Float) for name in names),
    )
    at = utc_micros(log.c.created_at) - LANDMARK
    last = sa.func.max(at).over(partition_by=(log.c.kblock_id, log.c.action))
    events = sa.select(log.c.kblock_id, log.c.action, at.label("at"), last.label("last")).subquery()
    sums = (
        sa.select(
            events.c.kblock_id,
            *(
                _logarithm(events, action, seconds).label(f"{name}_{slot}")
                for action, name in SUMS.items()
                for slot, seconds in HALF_LIVES.items()
            ),
        )
        .group_by(events.c.kblock_id)
        .subquery()
    )
    op.execute(
        sa.update(kblocks)
        .values({name: sums.c[name] for name in names})
        .where(kblocks.c.kblock_id == sums.c.kblock_id)
    )


def _logarithm(events: sa.FromClause, action: str, seconds: int) -> sa.ColumnElement[float]:
    rate = sa.literal(math.log(2) / (1e6 * seconds), sa.Float)
    beside_last = greatest((events.c.at - events.c.last) * rate, sa.literal(-700.0, sa.Float))
    is_counted = events.c.action == action
    summed = sa.func.sum(sa.func.exp(beside_last)).filter(is_counted)
    return sa.func.max(events.c.last * rate).filter(is_counted) + sa.func.ln(summed)
