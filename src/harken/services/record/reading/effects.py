"""Effects of events on their reader alone: dismissals hide K-Blocks, saves keep them.

Neither is a statistic, since both can be undone. A guest's dismissals hide nothing, and a guest
saves nothing.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, func, select
from sqlalchemy.dialects import postgresql

from harken.domain.feedback import GUEST, FeedbackAction, LogEntry
from harken.models import FeedDismissal, FeedSave
from harken.models.types import UtcDateTime, table

DISMISSALS = table(FeedDismissal)
SAVES = table(FeedSave)

SAVE = "save"
"""The `interaction_type` of an engagement that saves a K-Block for later."""


def has_saves(entries: Iterable[LogEntry]) -> bool:
    """Tell whether one of these entries saves its K-Block."""
    engage = FeedbackAction.ENGAGE.value
    return any(each.interaction_type == SAVE and each.action == engage for each in entries)


def dismissed(log: FromClause) -> Select[Any]:
    """Select the dismissals among entries: reader, K-Block and time, once for each K-Block."""
    return _latest(log, "dismissed_at", log.c.action == FeedbackAction.DISMISS.value)


def saved(log: FromClause) -> Select[Any]:
    """Select the saves among entries: reader, K-Block and time, once for each K-Block."""
    saves = (log.c.action == FeedbackAction.ENGAGE.value) & (log.c.interaction_type == SAVE)
    return _latest(log, "saved_at", saves)


def _latest(log: FromClause, name: str, condition: ColumnElement[bool]) -> Select[Any]:
    latest = func.max(log.c.created_at, type_=UtcDateTime).label(name)
    return (
        select(log.c.user_id, log.c.kblock_id, latest)
        .where(condition, log.c.user_id != GUEST)
        .group_by(log.c.user_id, log.c.kblock_id)
    )


def hide(insert: Any, rows: Select[Any]) -> Any:
    """Return the statement that writes dismissals; `insert` is that of the dialect."""
    return _put(insert, DISMISSALS, rows)


def keep(insert: Any, rows: Select[Any]) -> Any:
    """Return the statement that writes saves; `insert` is that of the dialect."""
    return _put(insert, SAVES, rows)


def kept(log: FromClause, condition: ColumnElement[bool]) -> Any:
    """Return the step that stores the saves among entries once a condition holds; PostgreSQL."""
    saves = saved(log).cte("saved")
    rows = select(saves).where(condition).order_by(*saves.c)
    return keep(postgresql.insert, rows).returning(SAVES.c.kblock_id).cte("kept")


def _put(insert: Any, into: Any, rows: Select[Any]) -> Any:
    names = [column.name for column in rows.selected_columns]
    statement = insert(into).from_select(names, rows)
    return statement.on_conflict_do_update(
        index_elements=list(into.primary_key), set_={names[-1]: statement.excluded[names[-1]]}
    )
