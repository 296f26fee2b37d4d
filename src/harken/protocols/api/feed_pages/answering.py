"""The way of a page: from the address of a request to the bytes of the answer.

    address     ─▶ which feed, and the parameters as they were sent
    FeedQuery   ─▶ the parameters, checked; it describes them in the OpenAPI document, too
    caller      ─▶ for whom: a caller who is bound to a reader gets that reader's page
    FeedService ─▶ the page, when its slate is committed
    bytes       ─▶ the answer

`page_of` is what every page is answered by. `PageEndpoint` is plain ASGI, because FastAPI's routing
and validation take longer than the rest of a page (see docs/benchmarks.md): the application of
`harken serve` asks it before FastAPI's routing. The router of `create_feed_router()` has the same
pages as ordinary routes. A test compares both, byte by byte.
"""

import logging
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache

from pydantic import ValidationError
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from harken.domain.feedback import GUEST
from harken.domain.feeds import DEFAULT_FEEDS, parse_weights
from harken.errors import Forbidden, HarkenError, OtherReaderCursor, quoted
from harken.protocols import presentation
from harken.protocols.api.callers import check_named
from harken.protocols.api.feed_schemas import FeedQuery
from harken.protocols.http.addresses import (
    READING,
    check_parameters,
    check_text,
    path_of,
    without_body,
)
from harken.protocols.http.errors import NOT_STORED, answer, invalid_input
from harken.protocols.http.json_body import JSON
from harken.protocols.http.security import caller_of
from harken.services.access.rights import Caller
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService

log = logging.getLogger(__name__)

PARAMETERS = tuple(FeedQuery.model_fields)
NOT_OF_ORDER = frozenset({"state", "after_event"})
MOST_KNOWN = 1_024
LONGEST_KNOWN = 256
"""So many of the last query strings are kept parsed, up to this length: at most 5 MB.

A reader's first pages have the same one each time. Those with a cursor are longer, and come once.
"""
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in NOT_STORED.items()]
# With a body, which a page does not need, a request takes the usual way, with its limits.
_OF_BODIES = frozenset({b"content-length", b"transfer-encoding"})

Provide = Callable[[], Awaitable[FeedService]]


class PageEndpoint:
    """An ASGI application that answers pages of feeds; ask `feed_of` first whether one is meant."""

    def __init__(self, provide: Provide, prefix: str) -> None:
        """Answer pages below a prefix, such as `/api/feed`."""
        self._provide = provide
        own = "|".join(map(re.escape, DEFAULT_FEEDS))
        # As in the routes: an id has no slash, and these names are no ids of other routes.
        self._path = re.compile(f"{re.escape(prefix)}/(?:({own})|feeds/([^/]+))")

    def feed_of(self, scope: Scope) -> str | None:
        """Return the name of the feed that a request asks a page of; None for other requests."""
        if scope["method"] not in READING:
            return None
        found = self._path.fullmatch(path_of(scope))
        if found is None or any(name in _OF_BODIES for name, _ in scope["headers"]):
            return None
        return found[1] or found[2]

    async def __call__(self, feed: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the page; an error becomes a problem document."""
        if scope["method"] == "HEAD":
            send = without_body(send)
        try:
            content = await self._content(feed, scope)
        except Exception as error:
            if not isinstance(error, HarkenError | HTTPException):
                log.exception("GET %s failed", quoted(scope["path"]))
            await answer(error)(scope, receive, send)
            return
        headers = [(b"content-length", b"%d" % len(content)), (b"content-type", JSON), *_HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _content(self, feed: str, scope: Scope) -> bytes:
        check_text(scope)
        query: bytes = scope["query_string"]
        is_short = len(query) <= LONGEST_KNOWN
        sent, parse = (_sent, parsed) if is_short else (_sent.__wrapped__, parsed.__wrapped__)
        caller = caller_of(scope)
        check_named(caller, sent(query).getlist("user_id"))
        service = await self._provide()
        return await page_of(feed, parse(query), service, caller)


@lru_cache(MOST_KNOWN)
def _sent(query: bytes) -> QueryParams:
    """Return the parameters of a query string as they were sent. Raises InvalidInput."""
    sent = QueryParams(query)
    check_parameters(sent, PARAMETERS)
    return sent


@lru_cache(MOST_KNOWN)
def parsed(query: bytes) -> FeedQuery:
    """Return the parameters of a page; of a repeated one, the last counts.

    They are shared, so they are not to be changed. Raises InvalidInput.
    """
    try:
        return FeedQuery.model_validate(dict(_sent.__wrapped__(query)))
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise invalid_input([{**each, "loc": ("query", *each["loc"])} for each in found]) from None


async def page_of(name: str, query: FeedQuery, service: FeedService, caller: Caller) -> bytes:
    """Return the JSON of a page of a feed. Raises HarkenError."""
    if query.arm is not None and caller.is_bound:
        raise Forbidden("arm: is for testers with a secret key")
    weights = None if query.weights is None else parse_weights(query.weights)
    user_id = caller.acts_as(query.user_id) if caller.is_bound else query.user_id
    given = {name: value for name, value in vars(query).items() if name not in NOT_OF_ORDER}
    given |= {"weights": weights, "user_id": user_id}
    coverage = await covering(service, query.after_event)
    try:
        found = await service.page(FeedRequest(feed=name, **given))
    except OtherReaderCursor:
        if not caller.is_bound:
            raise
        raise Forbidden("cursor: is that of another reader; start again without it") from None
    states = None
    if query.state:
        ids = [item.id for item in found.items]
        states = await service.reading.states(user_id or GUEST, ids)
    return presentation.page_as_json(found, states, coverage)


async def covering(service: FeedService, event_id: str | None) -> dict[str, str]:
    """Wait until answers include an event; returns the fields that say whether they do."""
    if event_id is None:
        return {}
    is_included = await service.known_events.include(event_id)
    return {"after_event": "included" if is_included else "missing"}
