"""What a page is; each is one file that makes one of these, and a line in `registry.py`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.routing import compile_path

from harken.protocols.pages.files import VendorFile

Values = Mapping[str, Any]


async def nothing(_request: Request) -> Values:
    """Give a page no values."""
    return {}


class FragmentRenderer(Protocol):
    """What renders the parts of a page that its scripts ask for; see `rendering.Renderer`."""

    def fragment(
        self, request: Request, template: str, values: Values, status: int = 200
    ) -> HTMLResponse:
        """Render a part of a page, which a script asked for."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page for people.

    `template` is rendered with what `values` returns. It is asked only for who may see data; to
    others, and so to every browser that opens a page of a server with keys, the page comes without
    its content and asks for the key. `values` may raise any HarkenError, which becomes a page.
    `routes` are what the page's scripts ask for besides the API: these want a key like every
    other route. With a `label`, the page is in the navigation.
    `policy` is what its Content-Security-Policy allows beyond what comes from this server.
    """

    path: str
    title: str
    template: str
    label: str | None = None
    values: Callable[[Request], Awaitable[Values]] = nothing
    routes: Callable[[FragmentRenderer], APIRouter] | None = None
    vendor: tuple[VendorFile, ...] = ()
    policy: str = ""

    def is_at(self, path: str) -> bool:
        """Whether this page is what stands at a path."""
        return compile_path(self.path)[0].fullmatch(path) is not None
