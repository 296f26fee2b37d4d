"""The route of images. An address is signed, and this is what lets a browser in.

An element of a page cannot send a key. So whoever could read the note has the signed addresses of
its images; nobody else can make one.
"""

from fastapi import APIRouter, Request, Response

from harken.protocols.http.routing import LenientRoute
from harken.protocols.pages.images.shown import PREFIX, ShownImages, none_shown
from harken.services.sources.images.proxy import Image

ONE_DAY = 86_400
HEADERS = {
    "Cache-Control": f"private, max-age={ONE_DAY}",
    # Should a browser ever take the file for a document, it may load and run nothing.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def images_router() -> APIRouter:
    """Return the router of images."""
    router = APIRouter(route_class=LenientRoute)

    @router.get(PREFIX + "{token}")
    async def image(request: Request, token: str) -> Response:
        """Return the image of a signed address."""
        images: ShownImages | None = request.app.state.images
        if images is None:
            raise none_shown()
        return _answer(request, await images.get(token))

    return router


def is_image(path: str) -> bool:
    """Return whether a path is an image."""
    return path.startswith(PREFIX)


def _answer(request: Request, image: Image) -> Response:
    etag = f'"{image.digest}"'
    headers = {**HEADERS, "ETag": etag}
    if etag in [each.strip() for each in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = f'inline; filename="image.{image.format.ending}"'
    return Response(image.content, headers=headers, media_type=image.format.media_type)
