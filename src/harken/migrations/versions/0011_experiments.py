"""Experiments, exposures, and what slates keep of them.

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

OF_SLATES = (
    ("session_id", Identifier), ("experiment_id", Identifier), ("experiment_version", sa.Integer),
    ("arm", sa.String(64)), ("scores", sa.Text), ("log_sum_exp", sa.Float),
)  # fmt: skip
OF_ORDERS = ("scores", "sides")
IN_EXPERIMENTS = sa.text("experiment_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "feed_experiments",
        sa.Column("experiment_id", Identifier, nullable=False),
        sa.Column("experiment_version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime),
        sa.Column("stopped_at", UtcDateTime),
        sa.Column("stop_reason", sa.Text),
        sa.Column("decided_at", UtcDateTime),
        sa.Column("decision", sa.Text),
        sa.PrimaryKeyConstraint("experiment_id", "experiment_version", name="pk_feed_experiments"),
    )
    op.create_table(
        "feed_layer_slots",
        sa.Column("layer", Identifier, nullable=False),
        sa.Column("slot", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("experiment_id", Identifier, nullable=False),
        sa.Column("experiment_version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("layer", "slot", name="pk_feed_layer_slots"),
    )
    op.create_table(
        "feed_exposures",
        sa.Column("experiment_id", Identifier, nullable=False),
        sa.Column("experiment_version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("user_id", Identifier, nullable=False),
        sa.Column("guest_session", Identifier, nullable=False),
        sa.Column("arm", sa.String(64), nullable=False),
        sa.Column("propensity", sa.Float, nullable=False),
        sa.Column("is_personalized", sa.Boolean, nullable=False),
        sa.Column("is_forced", sa.Boolean, nullable=False),
        sa.Column("request_id", Identifier),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint(
            "experiment_id", "experiment_version", "user_id", "guest_session",
            name="pk_feed_exposures",
        ),
    )  # fmt: skip
    op.create_index("idx_exposure_user", "feed_exposures", ["user_id"])
    op.create_table(
        "feed_order_samples",
        sa.Column("request_id", Identifier, nullable=False),
        sa.Column("numbers", sa.LargeBinary, nullable=False),
        sa.Column("scores", sa.LargeBinary, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_feed_order_samples"),
    )
    op.create_index("idx_order_sample_created", "feed_order_samples", ["created_at"])
    for name, kind in OF_SLATES:
        op.add_column("feed_slates", sa.Column(name, kind))
    for name in OF_ORDERS:
        op.add_column("feed_orders", sa.Column(name, sa.LargeBinary))
    op.create_index(
        "idx_slate_experiment",
        "feed_slates",
        ["experiment_id", "experiment_version"],
        postgresql_where=IN_EXPERIMENTS,
        sqlite_where=IN_EXPERIMENTS,
    )


def downgrade() -> None:
    op.drop_index("idx_slate_experiment", "feed_slates")
    for name in OF_ORDERS:
        op.drop_column("feed_orders", name)
    for name, _kind in reversed(OF_SLATES):
        op.drop_column("feed_slates", name)
    for name in ("feed_order_samples", "feed_exposures", "feed_layer_slots", "feed_experiments"):
        op.drop_table(name)
