"""The search at `/search`: a form that works without scripts, and cards as those of a feed.

A list of results records no views and is no slate: it answers a question, and does not say what a
reader would have read unasked. What a reader does with a result is recorded as everywhere.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode

from fastapi import Request

from harken.errors import InvalidInput, UnknownFeed
from harken.protocols.pages.note.values import responses_to
from harken.protocols.pages.notes import Card, attachments_of
from harken.protocols.pages.page import Page, Values
from harken.protocols.pages.reading.values import states_of
from harken.protocols.pages.selection import Selection, cookie_name
from harken.protocols.pages.words import age
from harken.services.feed.search.request import FoundItem, SearchPage, SearchRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.attachments import Attachment
from harken.services.personal.interests import listed
from harken.services.providers import get_feed_service

PATH = "/search"
PAGE_SIZE = 20
FILTERS = ("tag", "author", "feed", "source")
FIELD_NAMES = {"title": "title", "tags": "tags", "author": "author", "text": "text"}


class Filter(NamedTuple):
    """A filter that is set, and the address without it."""

    name: str
    value: str
    address: str


async def _values(request: Request) -> Values:
    given = request.query_params
    selection, service = Selection.of(request), await get_feed_service()
    filters = {name: given.get(name) or None for name in FILTERS}
    asked = SearchRequest(
        q=given.get("q", ""), user_id=selection.user, limit=PAGE_SIZE,
        cursor=given.get("cursor") or None, **filters,
    )  # fmt: skip
    found, problem = await _found(service, asked)
    ids = [] if found is None else [each.item.id for each in found.items]
    return {
        **await states_of(service, selection, ids),
        **await responses_to(service, selection, dict.fromkeys(ids, ())),
        "selection": selection,
        "asked": asked,
        "filters": [
            Filter(name, value, _address(selection, asked, without=name))
            for name, value in filters.items()
            if value is not None
        ],
        "feeds": [each.feed.name for each in await service.feeds.listed()],
        "slate": found,
        "problem": problem,
        "cards": [] if found is None else await _cards(found, selection, service),
        "next": _next(selection, asked, found),
        "cookie": cookie_name(request),
        "answer_status": HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
    }


async def _found(service: FeedService, asked: SearchRequest) -> tuple[SearchPage | None, str]:
    """Return what was found, if anything was asked for, or what is wrong with the query."""
    if not asked.q.strip() and not any(getattr(asked, name) for name in FILTERS):
        return None, ""
    try:
        return await service.search.find(asked), ""
    except UnknownFeed:
        raise
    except InvalidInput as error:
        return None, "; ".join(problem.message for problem in error.problems)


async def _cards(found: SearchPage, selection: Selection, service: FeedService) -> list[Card]:
    files = await attachments_of([each.item for each in found.items], service.kblocks)
    return [_card(each, selection, files.get(each.item.id, ())) for each in found.items]


def _card(found: FoundItem, selection: Selection, files: Sequence[Attachment]) -> Card:
    item = found.item
    places = [f"{FIELD_NAMES[name]} ({', '.join(terms)})" for name, terms in found.fields.items()]
    return Card(
        item=item,
        address=selection.of_kblock(item.id),
        age=age(item.created_at, datetime.now(UTC)),
        conflicts={},
        why=None,
        title=found.title,
        preview=found.snippet,
        found_in=listed(places) if places else "",
        attachments=files,
    )


def _next(selection: Selection, asked: SearchRequest, found: SearchPage | None) -> str | None:
    if found is None or found.next_cursor is None:
        return None
    return _address(selection, asked, cursor=found.next_cursor)


def _address(
    selection: Selection, asked: SearchRequest, *, without: str = "", cursor: str | None = None
) -> str:
    """Return the address of a search, without one of its filters, or of its next page."""
    parameters = {
        "q": asked.q or None,
        **{name: getattr(asked, name) for name in FILTERS if name != without},
        "user": selection.named,
        "cursor": cursor,
    }
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{selection.root}{PATH}?{query}"


PAGE = Page(path=PATH, title="Search", template="search.html", values=_values)
