"""The route `/kblocks/search`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic_core import to_json
from starlette.routing import Match
from starlette.types import Scope

from harken.protocols import presentation
from harken.protocols.api.callers import User
from harken.protocols.api.kblocks import Provide
from harken.protocols.api.search.shapes import FoundShape, SearchQuery
from harken.protocols.http.errors import described
from harken.protocols.http.routing import HarkenRoute
from harken.services.access.rights import Caller
from harken.services.feed.search.request import SearchRequest
from harken.services.feed.service import FeedService

PATH = "/search"
RESPONSES = described(410, status_404="There is no such feed.")


class SearchRoute(HarkenRoute):
    """The route of a search; `/kblocks/%73earch` is the K-Block with the id `search`."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request is for the search, whose name is written without escapes."""
        written: bytes = scope.get("raw_path") or scope.get("path", "").encode()
        if not written.partition(b"?")[0].endswith(PATH.encode()):
            return Match.NONE, {}
        return super().matches(scope)


def routes(provide: Provide, who: User) -> APIRouter:
    """Return the router of the search, which stands before that of `/kblocks/{kblock_id}`."""
    router = APIRouter(prefix="/kblocks", tags=["kblocks"], route_class=SearchRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @router.get(PATH, summary="Search K-Blocks", response_model=FoundShape, responses=RESPONSES)
    async def search(
        service: Service, caller: Who, query: Annotated[SearchQuery, Query()]
    ) -> Response:
        """Return the K-Blocks that match, most relevant first, and where they match."""
        given = query.model_dump() | {"user_id": caller.acts_as(query.user_id)}
        found = await service.search.find(SearchRequest(**given))
        return Response(to_json(presentation.found(found)), media_type="application/json")

    return router
