"""Comments have a table of their own; the log keeps them as they were written.

Revision: 0016, after 0015
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from harken.models.types import Identifier, UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

STEP = 1_000
"""Events whose metadata is in memory at a time."""

FOUND = sa.text("""
    SELECT id, interaction_metadata FROM feed_interactions
    WHERE action = 'engage' AND interaction_type = 'comment' AND user_id <> 'guest' AND id > :after
    ORDER BY id LIMIT :most
""")
# The time is copied within the database, as it is stored.
COPIED = sa.text("""
    INSERT INTO feed_comments (comment_id, user_id, kblock_id, text, created_at)
    SELECT id, user_id, kblock_id, :text, created_at FROM feed_interactions WHERE id = :id
""")


def upgrade() -> None:
    op.create_table(
        "feed_comments",
        sa.Column("comment_id", Identifier, nullable=False),
        sa.Column("user_id", Identifier, nullable=False),
        sa.Column("kblock_id", Identifier, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("edited_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("comment_id", name="pk_feed_comments"),
    )
    copy(op.get_bind())
    op.create_index("idx_comment_kblock", "feed_comments", ["kblock_id", "created_at"])
    op.create_index("idx_comment_user", "feed_comments", ["user_id"])


def copy(connection: sa.Connection) -> None:
    """Write the comments in the log; one whose text cannot be read stays in the log alone."""
    after = ""
    while True:
        rows = connection.execute(FOUND, {"after": after, "most": STEP}).all()
        if not rows:
            return
        found = [{"id": each, "text": text_in(metadata)} for each, metadata in rows]
        if some := [each for each in found if each["text"]]:
            connection.execute(COPIED, some)
        after = rows[-1][0]


def text_in(metadata: Any) -> str:
    """Return the text of a comment; empty if there is none that both databases can store."""
    try:
        found = json.loads(metadata or "{}")
        text = found.get("text") if isinstance(found, dict) else None
        text = text.strip() if isinstance(text, str) else ""
        text.encode()
    except (TypeError, ValueError, RecursionError):
        return ""
    return "" if "\x00" in text else text


def downgrade() -> None:
    op.drop_table("feed_comments")
