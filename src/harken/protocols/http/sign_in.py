"""How a browser says who reads: by the cookie of a sign-in, or by a header that a proxy adds.

A program adds a key or a token to a request itself. These two come with every request of the
browser, whichever page causes it. So they count only if a page of this server causes the request,
or a person who follows a link to a page; see `OriginRules`.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from harken.config import Settings
from harken.domain.feedback import GUEST
from harken.domain.fields import check_identifier, whole_number
from harken.errors import Forbidden, InvalidInput, Problem, Unauthorized
from harken.protocols.http.addresses import path_of
from harken.protocols.http.local_access import Fields, OriginRules
from harken.protocols.http.security import WITHOUT_KEY, Pages
from harken.services.access.rights import Caller, SignIn
from harken.services.access.user_tokens import UserTokens

PATH = "/sign-in"
END_PATH = "/sign-out"
PEER = "harken.peer"
"""In the scope of a request: who connected, before X-Forwarded-For replaces it."""


class Credentials(NamedTuple):
    """What a program sends with a request: keys, and the token of a reader."""

    keys: Sequence[str] = ()
    token: str | None = None


NO_CREDENTIALS = Credentials()


class BehindProxies:
    """An ASGI application that believes the X-Forwarded headers of proxies.

    It notes first who connected: an address of X-Forwarded-For is not that of a proxy.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        trusted = list(settings.forwarded_allow_ips)
        # The types of the two libraries differ in names only.
        self._app = cast("Any", ProxyHeadersMiddleware)(app, trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request with the address and the scheme that its proxy names."""
        scope[PEER] = scope.get("client")
        await self._app(scope, receive, send)


class SignIns:
    """Finds out who reads: by a token, by the header of a proxy, or by the cookie of a browser."""

    def __init__(self, settings: Settings, tokens: UserTokens, pages: Pages) -> None:
        self._tokens = tokens
        self._pages = pages
        self._name = settings.identity_header or ""
        self._header = self._name.lower().encode()
        self._proxies = [
            ipaddress.ip_network(each) for each in settings.forwarded_allow_ips if each != "*"
        ]
        self._origins = OriginRules((), pages)

    @property
    def headers(self) -> frozenset[bytes]:
        """The headers that name a reader; each may be there once."""
        return frozenset({self._header} if self._header else ())

    def bind(self, caller: Caller, scope: Scope, headers: Fields, given: Credentials) -> Caller:
        """Bind a caller to the reader that their request names; unchanged if it names none.

        Raises Unauthorized for a token that does not hold, Forbidden or InvalidInput for a sign-in
        that does not count.
        """
        if given.token is not None:
            caller = replace(caller, user_id=self._tokens.reader(given.token))
        named = self._identity(scope, headers) if self._header else None
        if named is not None:
            return replace(caller, user_id=caller.acts_as(named), sign_in=SignIn.PROXY)
        if given is not NO_CREDENTIALS or not self._tokens.are_set_up:
            return caller  # what a program adds itself goes before a cookie
        return self._of_browser(caller, scope, headers)

    def _of_browser(self, caller: Caller, scope: Scope, headers: Fields) -> Caller:
        """Bind a caller to the reader whose token the browser keeps."""
        token = self._token(headers)
        if token is None or self._pages.is_static(scope):
            return caller
        self.check_origin(scope, headers)
        try:
            return replace(caller, user_id=self._tokens.reader(token), sign_in=SignIn.LINK)
        except Unauthorized as error:
            if not self._pages.is_page(scope):
                raise
            return replace(WITHOUT_KEY, problem=str(error))  # the page says what to do

    def _identity(self, scope: Scope, headers: Fields) -> str | None:
        """Return the reader that the proxy of a request names; None if it names none.

        Raises Forbidden for a header that no trusted proxy sent, or for pages of other origins;
        InvalidInput if it names no reader.
        """
        given = headers.get(self._header, b"").strip()
        if not given or self._pages.is_static(scope):
            return None
        if not self._is_proxy(scope):
            raise Forbidden(
                f"{self._name} is believed from the proxies of HARKEN_FORWARDED_ALLOW_IPS only"
            )
        self.check_origin(scope, headers)
        try:
            reader = given.decode()
        except UnicodeDecodeError:
            raise InvalidInput(Problem(self._name, "must be the id of a reader in UTF-8")) from None
        check_identifier(self._name, reader)
        if reader == GUEST:
            raise InvalidInput(Problem(self._name, f"{GUEST} stands for all unknown readers"))
        return reader

    def _token(self, headers: Fields) -> str | None:
        """Return the token that a browser keeps as a cookie; None if it keeps none."""
        given = headers.get(b"cookie")
        if given is None:
            return None
        host = headers.get(b"host", b"").decode("latin-1")
        return cookie_parser(given.decode("latin-1")).get(cookie_name(host)) or None

    def check_origin(self, scope: Scope, headers: Fields) -> None:
        """Raise Forbidden for a request that a page of another origin causes."""
        if not self._origins.allow(scope, headers):
            raise Forbidden("Pages of other origins may not use the sign-in of this browser")

    def _is_proxy(self, scope: Scope) -> bool:
        """Tell whether a trusted proxy connected."""
        peer = scope.get(PEER, scope.get("client"))
        try:
            address = ipaddress.ip_address(peer[0] if peer else "")
        except ValueError:  # a socket of the file system has no address
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in each for each in self._proxies)


def changes_sign_in(scope: Scope) -> bool:
    """Return whether a request begins or ends a sign-in; it needs none."""
    return scope["method"] == "POST" and path_of(scope) in {PATH, END_PATH}


def cookie_name(host: str) -> str:
    """Return the name of the cookie that keeps a sign-in, for the Host header of a request.

    It has the port, because browsers send the cookies of a host to all of its ports.
    """
    port = host.rpartition(":")[2]
    return f"harken_sign_in_{'default' if whole_number(port) is None else port}"
