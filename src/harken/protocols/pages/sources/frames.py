"""The page `/sources`, and the list on it, which its scripts load again after each change."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request, Response

from harken.domain.durations import write_duration
from harken.domain.fields import whole_number
from harken.protocols.http.routing import LenientRoute
from harken.protocols.http.security import caller_of
from harken.protocols.pages.page import FragmentRenderer, Page, Values
from harken.protocols.pages.selection import Selection
from harken.protocols.pages.words import age
from harken.services.kblocks.web_addresses import without_secrets
from harken.services.providers import get_feed_service
from harken.services.sources.service import Preference
from harken.services.sources.store import Listed

PATH = "/sources"
PAGE_SIZE = 200
MOST_OFFSET = 2**31 - 1
WEIGHTS = ((4.0, "4 ×"), (2.0, "2 ×"), (1.0, "1 ×"), (0.5, "½ ×"), (0.25, "¼ ×"))
CAPS = (1, 2, 3, 5, 10)


class Row(NamedTuple):
    """A source in the list, with its texts."""

    id: str
    title: str
    given_title: str | None
    address: str
    items: int
    url: str | None
    host: str
    site_url: str | None
    problem: str
    state: str
    wanted: Preference


async def _values(request: Request) -> Values:
    selection, service = Selection.of(request), await get_feed_service()
    preferences = await service.readers.preferences(selection.user)
    every = service.sources.every
    return {
        **await _list(request, selection),
        "every": None if every is None else write_duration(every),
        "cap": preferences.most_per_source,
        "caps": sorted({*CAPS, preferences.most_per_source or 1}),
    }


async def _list(request: Request, selection: Selection) -> Values:
    service = await get_feed_service()
    offset = min(whole_number(request.query_params.get("offset", "")) or 0, MOST_OFFSET)
    found, total = await service.sources.listed(PAGE_SIZE, offset)
    wanted = await service.sources.preferences(selection.user, found)
    is_reader = caller_of(request.scope).is_bound
    now = datetime.now(UTC)
    rows = [
        _row(each, selection, wanted[each.source.source_id], now, is_reader=is_reader)
        for each in found
    ]
    after, before = offset + PAGE_SIZE, max(offset - PAGE_SIZE, 0)
    return {
        "selection": selection,
        "rows": rows,
        "total": total,
        "offset": offset,
        "weights": WEIGHTS,
        "may_change": not is_reader,
        "next": _address(selection, after) if after < total else None,
        "previous": _address(selection, before) if offset else None,
    }


def _address(selection: Selection, offset: int) -> str:
    given = {"offset": offset or None, "user": selection.named}
    query = urlencode({name: value for name, value in given.items() if value is not None})
    return f"{selection.root}{PATH}?{query}"


def _row(
    found: Listed, selection: Selection, wanted: Preference, now: datetime, *, is_reader: bool
) -> Row:
    source = found.source
    url = without_secrets(source.url)
    return Row(
        id=source.source_id,
        title=source.shown_title,
        given_title=source.given_title,
        address=selection.address(f"source:{source.source_id}"),
        items=found.items,
        url=None if is_reader else url,
        host=urlsplit(url).hostname or "",
        site_url=source.site_url,
        problem=_problem(found, is_reader=is_reader),
        state=_state(found, now),
        wanted=wanted,
    )


def _problem(found: Listed, *, is_reader: bool) -> str:
    source = found.source
    if source.error is None:
        return ""
    times = f"{source.failures} times in a row" if source.failures > 1 else ""
    what = "" if is_reader else source.error
    if not source.failures:
        return f"Read in part: {what}" if what else "Read in part"
    failed = f"Failed {times}".strip()
    return f"{failed}: {what}" if what else failed


def _state(found: Listed, now: datetime) -> str:
    source = found.source
    read = (
        "not read yet" if source.succeeded_at is None else f"read {age(source.succeeded_at, now)}"
    )
    if source.due_at is None:
        return f"{read}; asked on request only"
    if source.due_at - now < timedelta(minutes=1):
        return f"{read}; asked again soon"
    return f"{read}; asked again {age(source.due_at, now)}"


def _routes(renderer: FragmentRenderer) -> APIRouter:
    router = APIRouter(prefix=PATH, route_class=LenientRoute)

    @router.get("/list")
    async def listed(request: Request) -> Response:
        """Return the list of sources."""
        values = await _list(request, Selection.of(request))
        return renderer.fragment(request, "sources/list.html", values)

    return router


PAGE = Page(
    path=PATH,
    title="Sources",
    label="Sources",
    template="sources.html",
    values=_values,
    routes=_routes,
)
