"""The parts of cards and of the page of a note that scripts ask for."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from harken.domain.fields import check_kept_identifier
from harken.protocols.pages.note.values import comments_of
from harken.protocols.pages.page import FragmentRenderer
from harken.protocols.pages.reading.values import Labels
from harken.protocols.pages.selection import Selection
from harken.protocols.pages.words import age
from harken.services.feed.explanations.phrases import in_words
from harken.services.personal.interests import strength
from harken.services.providers import get_feed_service

SIMILAR = 6
MOST_OFFSET = 2**31 - 1


def add_parts(router: APIRouter, renderer: FragmentRenderer) -> None:
    """Add the routes of comments, similar notes and interests in a note to a router."""

    @router.get("/comments")
    async def comments(request: Request, id: str, offset: int = 0) -> Response:  # noqa: A002 — a parameter
        """Return the comments on a note, with buttons at those of the user."""
        check_kept_identifier("id", id)
        selection, service = Selection.of(request), await get_feed_service()
        at = min(max(offset, 0), MOST_OFFSET)
        values = await comments_of(service, selection, id, at)
        return renderer.fragment(request, "reader/note/comments.html", values)

    @router.get("/why")
    async def why(request: Request, id: str) -> Response:  # noqa: A002 — a parameter
        """Say how the user's interests bear on a note, without a place in a feed."""
        selection, service = Selection.of(request), await get_feed_service()
        values = {
            "summary": (await service.profile(selection.user)).summary,
            "interests": [
                (in_words(each.label.kind, each.label.name), strength(each.before))
                for each in await service.preview_interests(id, selection.user, 0.0)
            ],
        }
        return renderer.fragment(request, "reader/note/why.html", values)

    @router.get("/similar")
    async def similar(request: Request, id: str) -> Response:  # noqa: A002 — a parameter
        """Return the notes that are most similar to one; their slate is committed."""
        selection, service = Selection.of(request), await get_feed_service()
        found = await service.similar(id, selection.user, SIMILAR)
        now = datetime.now(UTC)
        values = {
            "selection": selection,
            "labels": Labels(selection),
            "request_id": found.request_id,
            "items": [(each, age(each.created_at, now)) for each in found.items],
        }
        return renderer.fragment(request, "reader/note/similar.html", values)
