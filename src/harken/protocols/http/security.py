"""Who may call: holders of a key, or without keys this machine alone."""

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


def nothing(_scope: Scope) -> bool:
    """Hold nothing to be asked for."""
    return False


@dataclass(frozen=True)
class Pages:
    """What browsers open, pages and static files: whether a request asks for such a thing.

    A browser sends no key when it opens one or the other, so both are asked for without, and have
    to ask `may_see_data` themselves. Links elsewhere may lead to pages, and pages elsewhere may use
    static files.
    """

    is_page: Callable[[Scope], bool] = nothing
    is_static: Callable[[Scope], bool] = nothing


NO_PAGES = Pages()


def may_see_data(scope: Scope) -> bool:
    """Whether a request that passed the rules may be answered with what the database holds."""
    return not scope.get(_KEYLESS, False)


def check_exposure(settings: Settings) -> None:
    """Raise InvalidSettings where a server without keys would be reachable by others."""
    if not settings.api_keys and not settings.loopback:
        raise InvalidSettings(
            f"HARKEN_HOST={settings.host} can be reached from other machines, and no key protects "
            "it: set HARKEN_API_KEYS, or serve on 127.0.0.1"
        )


def install(app: FastAPI, settings: Settings, pages: Pages = NO_PAGES) -> None:
    """Put the rules in front of an application."""
    for rule, options in _rules(settings, pages):
        app.add_middleware(rule, **options)  # the last one added is asked first


def guarded(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Put the rules in front of something that is not FastAPI's."""
    for rule, options in _rules(settings, NO_PAGES):
        app = rule(app, **options)
    return app


def _rules(settings: Settings, pages: Pages) -> list[tuple[Any, dict[str, Any]]]:
    rules: list[tuple[Any, dict[str, Any]]]
    if settings.api_keys:
        options = {"keys": settings.api_keys, "pages": pages}
        rules = [(ApiKeyMiddleware, options)]
    else:
        # A page on the web can make a browser's requests to its own name arrive here by pointing
        # that name at 127.0.0.1; they still carry that name.
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
    """Keeps pages of other origins from changing anything.

    A browser asks nobody before it sends a GET or a simple POST for whatever page, but it says for
    which. A GET changes something too: a page of a feed is written down as served. So a page
    elsewhere may link to pages here, for a person to follow, and load nothing but static files.
    """

    def __init__(self, app: ASGIApp, others: Sequence[str], pages: Pages) -> None:
        self._app = app
        self._others = frozenset(others)
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] != "http" or self._may_pass(scope):
            await self._app(scope, receive, send)
            return
        refusal = problem(
            403,
            "Pages of this origin may not read or change anything here: HARKEN_CORS_ORIGINS names "
            "those that may.",
        )
        await refusal(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS" or self._is_known(headers):
            return True
        return scope["method"] in READING and self._may_be_read(scope, headers)

    def _is_known(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:  # none that reads the answer, if it is a page at all
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
            and "sec-purpose" not in headers  # a browser that looks ahead, for nobody yet
        )
        return is_followed and self._pages.is_page(scope)


class ApiKeyMiddleware:
    """Lets a request pass that carries a key, in `X-API-Key` or as a bearer token.

    One for a page passes without any key as well, and `may_see_data` is false then.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[SecretStr], pages: Pages) -> None:
        self._app = app
        self._pages = pages
        self._keys = [key.get_secret_value().encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
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
            "This needs a key, in the header X-API-Key or as Authorization: Bearer.",
            headers={"WWW-Authenticate": "Bearer"},
        )
        await refusal(scope, receive, send)

    def _is_key(self, given: str) -> bool:
        # Every key is compared, so that the time taken tells nothing.
        equal = [secrets.compare_digest(given.encode("latin-1"), key) for key in self._keys]
        return any(equal)


def _given(scope: Scope) -> list[str]:
    """Return the keys that came along with a request; either header will do."""
    headers = Headers(scope=scope)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return [key for key in (bearer, headers.get("x-api-key", "")) if key]
