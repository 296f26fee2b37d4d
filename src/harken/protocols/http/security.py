"""Access rules: requests need an API key; without keys, the server is on loopback only."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from harken.config import Settings
from harken.errors import InvalidSettings
from harken.protocols.http.addresses import READING, path_of
from harken.protocols.http.errors import problem

LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]", "::1"]


HEALTH = "/healthz"
READY = "/readyz"
_KEYLESS = "harken.keyless"


def matches_none(_scope: Scope) -> bool:
    """Return False: no request matches."""
    return False


@dataclass(frozen=True)
class Pages:
    """Predicates that recognise requests for pages and for static files.

    A browser cannot send a key when it opens a page, so such requests pass without one, and the
    page must call `may_see_data` itself. Other sites may link to pages and load static files.
    """

    is_page: Callable[[Scope], bool] = matches_none
    is_static: Callable[[Scope], bool] = matches_none


NO_PAGES = Pages()


def may_see_data(scope: Scope) -> bool:
    """Return whether the answer to a request may contain data of the database."""
    return not scope.get(_KEYLESS, False)


def check_exposure(settings: Settings) -> None:
    """Raise InvalidSettings if a server without keys is reachable from other machines."""
    if not settings.api_keys and not settings.loopback:
        raise InvalidSettings(
            f"HARKEN_HOST={settings.host} is reachable from other machines, and no API key "
            "protects it: set HARKEN_API_KEYS, or serve on 127.0.0.1"
        )


def install(app: FastAPI, settings: Settings, pages: Pages = NO_PAGES) -> None:
    """Add the access rules to a FastAPI application."""
    for rule, options in _rules(settings, pages):
        app.add_middleware(rule, **options)  # the last one added runs first


def guarded(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Return an ASGI application behind the access rules."""
    for rule, options in _rules(settings, NO_PAGES):
        app = rule(app, **options)
    return app


def _rules(settings: Settings, pages: Pages) -> list[tuple[Any, dict[str, Any]]]:
    rules: list[tuple[Any, dict[str, Any]]]
    if settings.api_keys:
        options = {"keys": settings.api_keys, "pages": pages}
        rules = [(ApiKeyMiddleware, options)]
    else:
        # DNS rebinding: a site can point its own host name at 127.0.0.1. Requests to it still
        # have that name in their Host header, which is refused.
        names = [*LOOPBACK_NAMES, settings.host]
        rules = [
            (OriginMiddleware, {"others": settings.cors_origins, "pages": pages}),
            (TrustedHostMiddleware, {"allowed_hosts": names}),
        ]
    if settings.cors_origins:
        allowed = {
            "allow_origins": list(settings.cors_origins),
            "allow_methods": ["GET", "HEAD", "POST", "PUT", "DELETE"],
            "allow_headers": ["Authorization", "Content-Type", "X-API-Key"],
            "expose_headers": ["Retry-After"],
        }
        rules.append((CORSMiddleware, allowed))
    return rules


class OriginMiddleware:
    """Refuses requests of pages of other origins, except links to pages and static files.

    A browser sends GET and simple POST requests of any page without a preflight request, with
    headers that name the origin. GET requests are refused, too, because a page of a feed is
    recorded as a slate. A page of another origin may link to pages here and load static files.
    """

    def __init__(self, app: ASGIApp, others: Sequence[str], pages: Pages) -> None:
        self._app = app
        self._others = frozenset(others)
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, or answer 403."""
        if scope["type"] != "http" or self._may_pass(scope):
            await self._app(scope, receive, send)
            return
        refusal = problem(
            403,
            "Pages of this origin may not use this server. HARKEN_CORS_ORIGINS lists the origins "
            "that may.",
        )
        await refusal(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS" or self._is_known(headers):
            return True
        return scope["method"] in READING and self._may_be_read(scope, headers)

    def _is_known(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:  # no page, or one that cannot read the answer
            is_elsewhere = headers.get("sec-fetch-site") in {"cross-site", "same-site"}
            return not is_elsewhere or "*" in self._others
        is_own = origin.partition("://")[2] == headers.get("host")
        return is_own or bool(self._others & {origin, "*"})

    def _may_be_read(self, scope: Scope, headers: Headers) -> bool:
        if path_of(scope) in {HEALTH, READY} or self._pages.is_static(scope):
            return True
        is_followed = (
            headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") == "document"
            and "sec-purpose" not in headers  # no prefetch, which no person requested
        )
        return is_followed and self._pages.is_page(scope)


class ApiKeyMiddleware:
    """Requires an API key in `X-API-Key` or as a bearer token.

    Requests for pages pass without a key; `may_see_data` is false for them.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[SecretStr], pages: Pages) -> None:
        self._app = app
        self._pages = pages
        self._keys = [key.get_secret_value().encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, or answer 401."""
        if scope["type"] != "http" or path_of(scope) == HEALTH:
            await self._app(scope, receive, send)
            return
        given = _given(scope)
        if any(self._is_key(each) for each in given):
            await self._app(scope, receive, send)
            return
        if not given and (self._pages.is_page(scope) or self._pages.is_static(scope)):
            await self._app({**scope, _KEYLESS: True}, receive, send)
            return
        refusal = problem(
            401,
            "An API key is needed, in the header X-API-Key or as Authorization: Bearer.",
            headers={"WWW-Authenticate": "Bearer"},
        )
        await refusal(scope, receive, send)

    def _is_key(self, given: str) -> bool:
        # All keys are compared, so that the time of the answer does not depend on the key.
        equal = [secrets.compare_digest(given.encode("latin-1"), key) for key in self._keys]
        return any(equal)


def _given(scope: Scope) -> list[str]:
    """Return the keys in the headers of a request."""
    headers = Headers(scope=scope)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return [key for key in (bearer, headers.get("x-api-key", "")) if key]
