"""The reader, at `/`: feeds to read, and to answer."""

from fastapi import APIRouter, Request, Response

from harken.domain.feeds import CHRONOLOGICAL, FeedRanking, find_ranking
from harken.domain.fields import check_kept_identifier
from harken.errors import NotFound
from harken.protocols.http.routing import LenientRoute
from harken.protocols.pages import notes
from harken.protocols.pages.choice import ABOUT, Choice, cookie_name
from harken.protocols.pages.page import FragmentRenderer, Page, Values
from harken.protocols.pages.rendered import RenderedNotes
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.providers import get_feed_service

PAGE_SIZE = 20
MOST_DISMISSED = 100


async def _values(request: Request) -> Values:
    choice = Choice.of(request)
    service = await get_feed_service()
    feed = (await service.feeds.get(choice.feed)).feed
    is_own = choice.ranking in {None, feed.ranking.name}
    ranking = feed.ranking if is_own else find_ranking(str(choice.ranking))
    first = await _cards(service, choice, ranking)
    is_new = not first["cards"] and not await service.kblocks.count()
    return {
        **first,
        "feed": feed,
        "ranking": ranking,
        "about": ABOUT.get(feed.name) or feed.description,
        "tabs": choice.tabs(await service.feeds.listed()),
        "orders": choice.orders(feed),
        "cookie": cookie_name(request),
        "base": str(request.base_url).rstrip("/"),
        "is_new": is_new,
        "events": await service.record.count() if is_new else 0,
    }


async def _cards(
    service: FeedService, choice: Choice, ranking: FeedRanking, cursor: str | None = None
) -> dict[str, object]:
    """Return a page of the chosen feed as cards; it is in the ledger then."""
    page = await service.page(
        FeedRequest(
            choice.feed, choice.user, ranking.name, limit=PAGE_SIZE, cursor=cursor, explain=True
        )
    )
    shown = await notes.cards(page, ranking, choice, service.kblocks)
    return {"choice": choice, "slate": page, "cards": shown}


def _named(service: FeedService, choice: Choice) -> FeedRanking:
    """Return the ranking that an address names, without asking the database for the feed."""
    known = service.feeds.known(choice.feed)
    if known is not None and known.ranking.name == choice.ranking:
        return known.ranking
    return find_ranking(choice.ranking or CHRONOLOGICAL.name)


def _routes(renderer: FragmentRenderer) -> APIRouter:
    router = APIRouter(prefix="/reader", route_class=LenientRoute)

    @router.get("/cards")
    async def cards(request: Request, cursor: str) -> Response:
        """Return the cards that follow those of a page; the order has to be named."""
        choice, service = Choice.of(request), await get_feed_service()
        values = await _cards(service, choice, _named(service, choice), cursor)
        return renderer.fragment(request, "reader/cards.html", values)

    @router.get("/content")
    async def content(request: Request, id: str) -> Response:  # noqa: A002 — a parameter
        """Return what a K-Block says."""
        values = {"whole": await find_whole(request, id)}
        return renderer.fragment(request, "reader/content.html", values)

    @router.get("/dismissed")
    async def dismissed(request: Request) -> Response:
        """Return what the reader hides."""
        choice, service = Choice.of(request), await get_feed_service()
        found = (await service.readers.dismissals(choice.user))[:MOST_DISMISSED]
        known = await service.kblocks.names([each for each, _at in found])
        values = {"choice": choice, "dismissals": found, "known": known}
        return renderer.fragment(request, "reader/dismissed.html", values)

    @router.get("/profile")
    async def profile(request: Request) -> Response:
        """Return what is believed of the reader, and what they prefer."""
        choice, service = Choice.of(request), await get_feed_service()
        values = {
            "choice": choice,
            "portrait": await service.profile(choice.user),
            "preferences": await service.readers.preferences(choice.user),
        }
        return renderer.fragment(request, "reader/profile.html", values)

    return router


async def find_whole(request: Request, kblock_id: str) -> notes.Whole:
    """Return a K-Block, rendered. Raises InvalidInput, NotFound or DatabaseUnavailable."""
    check_kept_identifier("id", kblock_id)
    service = await get_feed_service()
    stored = await service.kblocks.get(kblock_id)
    if stored is None:
        raise NotFound(f"there is no K-Block {kblock_id!r}")
    rendered: RenderedNotes = request.app.state.rendered
    return await notes.whole(stored, Choice.of(request), service.kblocks, rendered)


PAGE = Page(
    path="/",
    title="Reader",
    label="Reader",
    template="reader.html",
    values=_values,
    routes=_routes,
)
