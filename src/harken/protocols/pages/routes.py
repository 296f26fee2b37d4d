"""The routes of all pages and static files, and the page of the status 404."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from harken.config import Settings
from harken.protocols.http.routing import LenientRoute
from harken.protocols.pages import files, reader
from harken.protocols.pages.images.routes import images_router, is_image
from harken.protocols.pages.page import Page
from harken.protocols.pages.registry import PAGES
from harken.protocols.pages.rendering import Renderer
from harken.services.access.rights import SignIn

NotFoundPage = Callable[[Request], Awaitable[Response]]


def pages_router(
    settings: Settings, pages: Sequence[Page] = PAGES
) -> tuple[APIRouter, NotFoundPage]:
    """Return the router of pages, their scripts' routes and static files; and the 404 handler."""
    router = APIRouter(include_in_schema=False, route_class=LenientRoute)
    static = files.static_files(tuple(file for page in pages for file in page.vendor))
    ways = {SignIn.LINK} if settings.token_secret or settings.token_jwks else set()
    ways |= {SignIn.PROXY} if settings.identity_header else set()
    renderer = Renderer(pages, static, notice=settings.notice or "", sign_in_ways=frozenset(ways))

    @router.get(files.PREFIX + "{path:path}")
    async def static_file(request: Request, path: str) -> Response:
        return static.serve(request, path)

    router.include_router(images_router())
    for page in pages:
        _add(router, page, renderer)

    async def not_found(request: Request) -> Response:
        problem = "There is no page at this address."
        return renderer.error(request, reader.PAGE, HTTPStatus.NOT_FOUND, problem)

    return router, not_found


def _add(router: APIRouter, page: Page, renderer: Renderer) -> None:
    async def show(request: Request) -> Response:
        return await renderer.page(request, page)

    router.add_api_route(page.path, show)
    if page.routes is not None:
        router.include_router(page.routes(renderer))


def is_page(path: str, pages: Sequence[Page] = PAGES) -> bool:
    """Return whether a path is a page; without a key, a page contains no data."""
    return any(page.is_at(path) for page in pages)


def is_static(path: str) -> bool:
    """Return whether a path needs no key: a static file, or an image at a signed address.

    A static file contains no data of the database; an address is signed for who may read its note.
    """
    return path.startswith(files.PREFIX) or is_image(path)
