"""The routes of all pages and of static files."""

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from harken.config import Settings
from harken.protocols.pages import files
from harken.protocols.pages.page import Page
from harken.protocols.pages.registry import PAGES
from harken.protocols.pages.rendering import Renderer


def pages_router(settings: Settings, pages: Sequence[Page] = PAGES) -> APIRouter:
    """Make the routes of pages, of what their scripts ask for, and of static files."""
    router = APIRouter(include_in_schema=False)
    static = files.StaticFiles([file for page in pages for file in page.vendor])
    renderer = Renderer(
        pages, static, has_keys=bool(settings.api_keys), notice=settings.notice or ""
    )

    async def static_file(request: Request, path: str) -> Response:
        return static.serve(request, path)

    router.add_api_route(files.PREFIX + "{path:path}", static_file, methods=["GET", "HEAD"])
    for page in pages:
        _add(router, page, renderer)
    return router


def _add(router: APIRouter, page: Page, renderer: Renderer) -> None:
    async def show(request: Request) -> Response:
        return await renderer.page(request, page)

    router.add_api_route(page.path, show, methods=["GET", "HEAD"])
    if page.routes is not None:
        router.include_router(page.routes(renderer))


def is_page(path: str, pages: Sequence[Page] = PAGES) -> bool:
    """Whether a path is a page's or a static file's, which hold no data for who has no key."""
    return path.startswith(files.PREFIX) or any(page.is_at(path) for page in pages)
