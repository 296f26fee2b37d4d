"""The reader, at `/`: a feed to read."""

from fastapi import Request

from harken.domain.feeds import COSMOS
from harken.protocols.pages.page import Page, Values
from harken.services.feed.asking import FeedRequest
from harken.services.providers import get_feed_service


async def _values(request: Request) -> Values:
    service = await get_feed_service()
    feed = request.query_params.get("feed", COSMOS)
    return {"feed": feed, "page_of_feed": await service.page(FeedRequest(feed))}


PAGE = Page(path="/", title="Reader", label="Reader", template="reader.html", values=_values)
