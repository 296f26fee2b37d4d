"""The definition of a page. Each page is one module with a `Page`, listed in `registry.py`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.routing import compile_path

from harken.protocols.pages.files import VendorFile

Values = Mapping[str, Any]


async def no_values(_request: Request) -> Values:
    """Return no values for a template."""
    return {}


class FragmentRenderer(Protocol):
    """Renders parts of a page that its scripts request; implemented by `rendering.Renderer`."""

    def fragment(
        self, request: Request, template: str, values: Values, status: int = 200
    ) -> HTMLResponse:
        """Return a part of a page as HTML, for a script."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page for people.

    `template` is rendered with the result of `values`, which may raise any HarkenError; the error
    becomes an error page. If the server has API keys, a browser first gets the page without its
    content and with a form for the key; `values` is called for requests with a key only. `routes`
    are further routes for the scripts of the page, which need a key like the API. A page with a
    `label` is in the navigation. `policy` is added to the Content-Security-Policy, which allows
    resources of this server only. A page that `is_open` has no data, and is never locked.
    """

    path: str
    title: str
    template: str
    label: str | None = None
    values: Callable[[Request], Awaitable[Values]] = no_values
    routes: Callable[[FragmentRenderer], APIRouter] | None = None
    vendor: tuple[VendorFile, ...] = ()
    policy: str = ""
    is_open: bool = False

    def is_at(self, path: str) -> bool:
        """Return whether this page is served at a path."""
        return compile_path(self.path)[0].fullmatch(path) is not None
