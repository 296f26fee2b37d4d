"""Impressions as rows: the K-Blocks of the pages of a window, and what readers did with them.

An impression is a K-Block on a served page. It has a click if the log has a view or an engagement
with the page's `request_id` and this K-Block, in the same window. Each impression counts once,
however often the reader returned to it.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    ColumnElement,
    Integer,
    Select,
    String,
    Subquery,
    and_,
    case,
    cast,
    func,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database
from harken.domain.feedback import FeedbackAction
from harken.services.record.admission.quarantines import counts as is_counted
from harken.services.record.admission.quarantines import has_counting_reader
from harken.services.record.ledger.entries import SLATES
from harken.services.record.transaction import LOG
from harken.services.record.window_analytics import (
    MOST_EVENTS,
    Window,
    begun_after,
    event_before,
    since_begin,
)

MOST_SLATES = 20_000
"""The most pages of a window that are read."""

ACTS = ("clicks", "engagements", "dismissals")
_COUNTED = {
    "clicks": (FeedbackAction.VIEW, FeedbackAction.ENGAGE),
    "engagements": (FeedbackAction.ENGAGE,),
    "dismissals": (FeedbackAction.DISMISS,),
}
# A JSON list of strings, without the escape that PostgreSQL refuses to read.
_LIST = r"^\s*\[\s*(%s(\s*,\s*%s)*)?\s*\]\s*$"
_STRING = r'"([^"\\\u0001-\u001f]|\\(["\\/bfnrt]|u(?!0000|[dD][89a-fA-F])[0-9a-fA-F]{4}))*"'


class Pages(NamedTuple):
    """Which pages are counted; None means all."""

    feed: str | None = None
    ranking: str | None = None
    user_id: str | None = None


class SlateFigures:
    """Figures of the served pages of one database, with bounds of what is read."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        most_slates: int = MOST_SLATES,
        most_events: int = MOST_EVENTS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._most = most_slates, most_events


async def bounded(
    connection: AsyncConnection, window: Window, most_slates: int, most_events: int
) -> Window:
    """Return a window, shortened to begin later if it has too many pages or events."""
    window = await since_begin(connection, window)
    latest = [
        (await connection.execute(statement)).scalar_one_or_none()
        for statement in (_page_before(window, most_slates), event_before(window, most_events))
    ]
    return begun_after(window, *latest)


def chosen(window: Window, pages: Pages, *more: ColumnElement[Any]) -> Select[Any]:
    """Select the pages of a window, without those of readers in quarantine."""
    columns = ("request_id", "feed", "ranking", "user_id", "position", "items")
    at = SLATES.c.created_at
    wanted = [
        SLATES.c[name] == value for name, value in pages._asdict().items() if value is not None
    ]
    return select(*(SLATES.c[name] for name in columns), *more).where(
        at >= window.since, at < window.until, has_counting_reader(SLATES), *wanted
    )


def acts(window: Window) -> Subquery:
    """Return what readers did with K-Blocks of pages: 1 or 0 for each of `ACTS`."""
    at = LOG.c.created_at
    columns = [
        func.max(case((LOG.c.action.in_([each.value for each in actions]), 1), else_=0)).label(name)
        for name, actions in _COUNTED.items()
    ]
    # Ids are compared by bytes, with the collation of the slates' column.
    page = cast(LOG.c.request_id, SLATES.c.request_id.type).label("request_id")
    return (
        select(page, LOG.c.kblock_id, *columns)
        .where(
            at >= window.since, at < window.until, LOG.c.request_id.is_not(None), is_counted(LOG)
        )
        .group_by(LOG.c.request_id, LOG.c.kblock_id)
        .subquery("acts")
    )


def impressions(window: Window, pages: Pages, *, postgresql: bool) -> Subquery:
    """Return the impressions of a window: page, place from 0, K-Block, and each of `ACTS`."""
    page = chosen(window, pages).subquery("page")
    each, place, kblock_id = _items(page.c["items"], postgresql=postgresql)
    shown = (
        select(
            page.c.request_id, page.c.feed, page.c.ranking,
            (page.c.position + place).label("place"), kblock_id.label("kblock_id"),
        )
        .select_from(page.join(each, true()))
        .subquery("shown")
    )  # fmt: skip
    done = acts(window)
    same = and_(done.c.request_id == shown.c.request_id, done.c.kblock_id == shown.c.kblock_id)
    return (
        select(*shown.c, *(func.coalesce(done.c[name], 0).label(name) for name in ACTS))
        .select_from(shown.outerjoin(done, same))
        .subquery("impressions")
    )


def sums(of: Subquery) -> list[ColumnElement[int]]:
    """Return the columns that count impressions, and those with each of `ACTS`."""
    counted = [func.coalesce(func.sum(of.c[name]), 0).label(name) for name in ACTS]
    return [func.count().label("impressions"), *counted]


def whole(values: Sequence[Any]) -> list[int]:
    """Return sums as integers; PostgreSQL may return them as Decimal, and none as null."""
    return [int(each or 0) for each in values]


def _page_before(window: Window, count: int) -> Select[tuple[datetime]]:
    at = SLATES.c.created_at
    within = select(at).where(at >= window.since, at < window.until)
    return within.order_by(at.desc()).offset(count).limit(1)


def _items(
    items: ColumnElement[str], *, postgresql: bool
) -> tuple[Any, ColumnElement[int], ColumnElement[str]]:
    """Return the items of a list as rows: the rows, and their columns of the place and the id.

    A text that is no list has none.
    """
    if postgresql:
        is_list = items.regexp_match(_LIST % (_STRING, _STRING))
        safe = cast(case((is_list, items), else_="[]"), JSON)
        rows = func.json_array_elements_text(safe).table_valued("id", with_ordinality="nth")
        each = rows.render_derived(name="item")
        return each, each.c.nth - 1, cast(each.c.id, SLATES.c.request_id.type)
    valid = case((func.json_valid(items) == 1, items), else_="[]")
    listed = case((func.json_type(valid) == "array", valid), else_="[]")
    each = func.json_each(listed).table_valued("key", "value", name="item")
    return each, cast(each.c.key, Integer), cast(each.c.value, String)
