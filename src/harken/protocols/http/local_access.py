"""The rules of a server without keys: names of this machine, and pages of known origins only."""

from collections.abc import Collection, Mapping
from functools import lru_cache

from starlette.types import Scope

from harken.domain.fields import whole_number
from harken.protocols.http.addresses import READING, path_of
from harken.protocols.http.security import HEALTH, READY, Pages

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})

Fields = Mapping[bytes, bytes]
"""Headers by name, in lower case."""


@lru_cache(256)
def is_name_of_this_machine(host: bytes, own: str) -> bool:
    """Return whether a Host header names this machine, or is the configured host.

    DNS rebinding: a site can point its own host name at 127.0.0.1. Requests to it still have that
    name in their Host header.
    """
    text = host.decode("latin-1")
    name, _, port = text.rpartition(":")
    host_only = text if whole_number(port) is None else name
    return any(each in LOOPBACK_NAMES or each == own for each in (text, host_only))


class OriginRules:
    """Refuses requests of pages of other origins, except links to pages and static files.

    A browser sends GET and simple POST requests of any page without a preflight request, with
    headers that name the origin. GET requests are refused, too, because a page of a feed is
    recorded as a slate. A page of another origin may link to pages here and load static files.
    """

    def __init__(self, others: Collection[str], pages: Pages) -> None:
        self._others = frozenset(other.encode() for other in others)
        self._pages = pages

    def allow(self, scope: Scope, headers: Fields) -> bool:
        """Return whether a request may be answered."""
        if scope["method"] == "OPTIONS" or self._is_known(headers):
            return True
        return scope["method"] in READING and self._may_be_read(scope, headers)

    def _is_known(self, headers: Fields) -> bool:
        if headers.get(b"sec-fetch-site") == b"same-origin":
            return True  # the browser says so; a proxy may have changed the Host header
        origin = headers.get(b"origin")
        if origin is None:  # no page, or one that cannot read the answer
            is_elsewhere = headers.get(b"sec-fetch-site") in {b"cross-site", b"same-site"}
            return not is_elsewhere or b"*" in self._others
        is_own = origin.partition(b"://")[2] == headers.get(b"host")
        return is_own or bool(self._others & {origin, b"*"})

    def _may_be_read(self, scope: Scope, headers: Fields) -> bool:
        if path_of(scope) in {HEALTH, READY} or self._pages.is_static(scope):
            return True
        is_followed = (
            headers.get(b"sec-fetch-mode") == b"navigate"
            and headers.get(b"sec-fetch-dest") == b"document"
            and b"sec-purpose" not in headers  # no prefetch, which no person requested
        )
        return is_followed and self._pages.is_page(scope)
