"""The reader at `/`: the page on which people read feeds and respond to notes."""

from fastapi import APIRouter, Request, Response

from harken.domain.feeds import CHRONOLOGICAL, LEARNED, PERSONAL, FeedRanking, find_ranking
from harken.domain.fields import check_kept_identifier
from harken.errors import NotFound
from harken.protocols.http.routing import LenientRoute
from harken.protocols.pages import notes
from harken.protocols.pages.note.routes import add_parts
from harken.protocols.pages.note.values import responses_to
from harken.protocols.pages.note_rendering import NoteRenderer
from harken.protocols.pages.page import FragmentRenderer, Page, Values
from harken.protocols.pages.reading.values import about, states_of, values_of
from harken.protocols.pages.selection import ABOUT, Selection, cookie_name
from harken.protocols.pages.wording import interests as wording
from harken.protocols.pages.wording.feeds import example_for, filled_by
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.personal.stated_interests import STEP
from harken.services.providers import get_feed_service

PAGE_SIZE = 20
MOST_DISMISSED = 100


async def _values(request: Request) -> Values:
    selection = Selection.of(request)
    service = await get_feed_service()
    feed = (await service.feeds.get(selection.feed)).feed
    is_own = selection.ranking in {None, feed.ranking.name}
    ranking = feed.ranking if is_own else find_ranking(str(selection.ranking))
    first = await _cards(service, selection, ranking)
    is_new = not first["cards"] and not await service.kblocks.count()
    return {
        **first,
        "feed": feed,
        "ranking": ranking,
        "about": ABOUT.get(feed.name) or about(feed) or feed.description,
        **await values_of(service, selection, feed),
        "filled_by": filled_by(feed),
        "example": example_for(feed),
        "tabs": selection.tabs(await service.feeds.listed()),
        "orders": selection.orders(feed),
        "cookie": cookie_name(request),
        "base": str(request.base_url).rstrip("/"),
        "is_new": is_new,
        "events": await service.record.count() if is_new else 0,
    }


async def _cards(
    service: FeedService, selection: Selection, ranking: FeedRanking, cursor: str | None = None
) -> dict[str, object]:
    """Return the values of a page of the selected feed; its slate is committed."""
    page = await service.page(
        FeedRequest(
            selection.feed,
            selection.user,
            ranking.name,
            limit=PAGE_SIZE,
            cursor=cursor,
            explain=True,
        )
    )
    shown = await notes.cards(page, selection, service.kblocks)
    states = await states_of(service, selection, [item.id for item in page.items])
    states |= await responses_to(service, selection, {c.item.id: c.conflicts for c in shown})
    return {"selection": selection, "slate": page, "cards": shown, "ranking": ranking, **states}


def _named(service: FeedService, selection: Selection) -> FeedRanking:
    """Return the ranking that an address names, without reading the feed from the database."""
    known = service.feeds.known(selection.feed)
    if known is not None and known.ranking.name == selection.ranking:
        return known.ranking
    return find_ranking(selection.ranking or CHRONOLOGICAL.name)


def _routes(renderer: FragmentRenderer) -> APIRouter:
    router = APIRouter(prefix="/reader", route_class=LenientRoute)
    add_parts(router, renderer)

    @router.get("/cards")
    async def cards(request: Request, cursor: str) -> Response:
        """Return the cards of the page after a cursor; the address must name the ranking."""
        selection, service = Selection.of(request), await get_feed_service()
        values = await _cards(service, selection, _named(service, selection), cursor)
        return renderer.fragment(request, "reader/cards.html", values)

    @router.get("/content")
    async def content(request: Request, id: str) -> Response:  # noqa: A002 — a parameter
        """Return the content of a K-Block as HTML."""
        values = {"note": await load_note(request, id)}
        return renderer.fragment(request, "reader/content.html", values)

    @router.get("/dismissed")
    async def dismissed(request: Request) -> Response:
        """Return the list of K-Blocks that the user dismissed."""
        selection, service = Selection.of(request), await get_feed_service()
        found = (await service.readers.dismissals(selection.user))[:MOST_DISMISSED]
        known = await service.kblocks.names([each for each, _at in found])
        values = {"selection": selection, "dismissals": found, "known": known}
        return renderer.fragment(request, "reader/dismissed.html", values)

    @router.get("/profile")
    async def profile(request: Request) -> Response:
        """Return the interests and preferences of the user."""
        selection, service = Selection.of(request), await get_feed_service()
        interests = await service.profile(selection.user)
        values = {
            "selection": selection,
            "interests": interests,
            "preferences": (preferences := await service.readers.preferences(selection.user)),
            "source_titles": await service.sources.store.titles(preferences.muted_sources),
            "kinds": wording.KINDS,
            "shown": wording.shown(interests.interests),
            "levels": wording.LEVELS,
            "levels_set": [value for value, _label in wording.LEVELS],
        }
        return renderer.fragment(request, "reader/profile.html", values)

    @router.get("/like")
    async def like(request: Request, id: str, direction: str, ranking: str) -> Response:  # noqa: A002 — a parameter
        """Say what "more like this" or "less like this" would change; nothing is changed."""
        selection, service = Selection.of(request), await get_feed_service()
        is_more = direction == "more"
        changes = await service.preview_interests(id, selection.user, STEP if is_more else -STEP)
        preferences = await service.readers.preferences(selection.user)
        values = {
            **wording.changed(changes, preferences.interests),
            "is_more": is_more,
            "is_personal": ranking in {PERSONAL.name, LEARNED.name},
            "personalized": preferences.personalized,
        }
        return renderer.fragment(request, "reader/like.html", values)

    return router


async def load_note(request: Request, kblock_id: str) -> notes.FullNote:
    """Return a K-Block with its content rendered.

    Raises InvalidInput, NotFound or DatabaseUnavailable.
    """
    check_kept_identifier("id", kblock_id)
    service = await get_feed_service()
    stored = await service.kblocks.get(kblock_id)
    if stored is None:
        raise NotFound(f"there is no K-Block {kblock_id!r}")
    state, selection = request.app.state, Selection.of(request)
    renderer: NoteRenderer = state.note_renderer
    return await notes.full_note(stored, selection, service.kblocks, renderer, state.images)


PAGE = Page(
    path="/",
    title="Reader",
    label="Reader",
    template="reader.html",
    values=_values,
    routes=_routes,
)
