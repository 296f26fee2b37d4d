"""What a page is; each is one file that makes one of these, and a line in `registry.py`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.routing import compile_path

if TYPE_CHECKING:
    from harken.protocols.pages.rendering import Renderer

Values = Mapping[str, Any]


async def nothing(_request: Request) -> Values:
    """Give a page no values."""
    return {}


@dataclass(frozen=True)
class VendorFile:
    """A file of an installed package that browsers get, at `/static/vendor/` and its name.

    `path` is its place in the distribution, as `pip show --files` writes it.
    """

    name: str
    distribution: str
    path: str


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
    routes: "Callable[[Renderer], APIRouter] | None" = None
    vendor: tuple[VendorFile, ...] = ()
    policy: str = ""

    def is_at(self, path: str) -> bool:
        """Whether this page is what stands at a path."""
        return compile_path(self.path)[0].fullmatch(path) is not None
