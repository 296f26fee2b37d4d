"""What the transaction that records events writes of those that are comments.

A comment of a guest stays in the log alone: nobody could edit or remove it. The texts are bound
beside the entries, so a transaction without comments differs in nothing.
"""

import json
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from sqlalchemy import FromClause, String, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from harken.domain.feedback import GUEST, FeedbackAction, LogEntry
from harken.models import FeedComment
from harken.models.types import table

COMMENTS = table(FeedComment)
COMMENT = "comment"
"""The `interaction_type` of an engagement whose metadata has the `text` of a comment."""

Texts = Sequence[tuple[str, str]]
"""The ids of entries, and the texts of their comments."""


def texts_of(entries: Iterable[LogEntry]) -> Texts:
    """Return the comments of readers among entries; those without a text are left out."""
    return [
        (each.id, text)
        for each in entries
        if each.interaction_type == COMMENT
        and each.action == FeedbackAction.ENGAGE.value
        and each.user_id != GUEST
        and (text := text_in(each.interaction_metadata))
    ]


def text_in(metadata: str | None) -> str:
    """Return the text of a comment, without blanks around it; empty if the metadata has none."""
    try:
        found = json.loads(metadata or "{}")
    except (ValueError, RecursionError):
        return ""
    text = found.get("text") if isinstance(found, dict) else None
    return text.strip() if isinstance(text, str) else ""


def as_columns(texts: Texts) -> dict[str, Any]:
    """Return the parameters of `written` on PostgreSQL; none without texts."""
    if not texts:
        return {}
    return {"comments": [each for each, _ in texts], "texts": [text for _, text in texts]}


def as_json(texts: Texts) -> dict[str, Any]:
    """Return the parameters of `written` on SQLite."""
    return {"comments": json.dumps(texts)}


def written(inserted: FromClause, dialect: ModuleType) -> Any:
    """Return the statement that writes the comments among inserted entries, in a dialect."""
    texts = _listed(is_postgresql=dialect.__name__.endswith("postgresql"))
    own = inserted.c
    rows = (
        select(own.id, own.user_id, own.kblock_id, texts.c.text, own.created_at)
        .join(texts, texts.c.id == own.id)
        # Without a WHERE, SQLite parses the ON of ON CONFLICT as a join condition.
        .where(own.id != "")
    )
    names = ["comment_id", "user_id", "kblock_id", "text", "created_at"]
    # A row whose event was removed by an erasure that is not over yet has the same id.
    statement = dialect.insert(COMMENTS).from_select(names, rows)
    return statement.on_conflict_do_nothing(index_elements=["comment_id"])


def _listed(*, is_postgresql: bool) -> FromClause:
    if is_postgresql:
        arrays = [bindparam(each, type_=ARRAY(String())) for each in ("comments", "texts")]
        named = func.unnest(*arrays).table_valued("id", "text", name="texts")
        return named.render_derived()
    pair = func.json_each(bindparam("comments", type_=String)).table_valued("value").c.value
    return select(
        func.json_extract(pair, "$[0]", type_=String).label("id"),
        func.json_extract(pair, "$[1]", type_=String).label("text"),
    ).subquery("texts")
