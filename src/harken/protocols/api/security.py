"""Who may call: holders of a key, or without keys this machine alone."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from harken.config import Settings
from harken.errors import InvalidSettings
from harken.protocols.api.errors import problem

LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]", "::1"]


HEALTH = "/healthz"
_KEYLESS = "harken.keyless"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def no_page(_path: str) -> bool:
    """Hold no path to be a page's."""
    return False


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


def install(app: FastAPI, settings: Settings, is_page: Callable[[str], bool] = no_page) -> None:
    """Put the rules in front of an application.

    A browser sends no key when it opens a page, so what is at a page's path is asked for without
    one, and has to ask `may_see_data` itself.
    """
    for rule, options in _rules(settings, is_page):
        app.add_middleware(rule, **options)  # the last one added is asked first


def guarded(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Put the rules in front of something that is not FastAPI's."""
    for rule, options in _rules(settings, no_page):
        app = rule(app, **options)
    return app


def _rules(settings: Settings, is_page: Callable[[str], bool]) -> list[tuple[Any, dict[str, Any]]]:
    rules: list[tuple[Any, dict[str, Any]]]
    if settings.api_keys:
        options = {"keys": settings.api_keys, "is_page": is_page}
        rules = [(ApiKeyMiddleware, options)]
    else:
        # A page on the web can make a browser's requests to its own name arrive here by pointing
        # that name at 127.0.0.1; they still carry that name.
        names = [*LOOPBACK_NAMES, settings.host]
        rules = [
            (OriginMiddleware, {"others": settings.cors_origins}),
            (TrustedHostMiddleware, {"allowed_hosts": names}),
        ]
    if settings.cors_origins:
        allowed = {
            "allow_origins": list(settings.cors_origins),
            "allow_methods": ["GET", "POST", "PUT", "DELETE"],
            "allow_headers": ["Authorization", "Content-Type", "X-API-Key"],
            "expose_headers": ["Retry-After"],
        }
        rules.append((CORSMiddleware, allowed))
    return rules


class OriginMiddleware:
    """Keeps pages of other origins from changing anything.

    A browser asks nobody before it sends a simple POST for whatever page, but it says for which.
    """

    def __init__(self, app: ASGIApp, others: Sequence[str]) -> None:
        self._app = app
        self._others = frozenset(others)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] != "http" or scope["method"] in _READING or self._is_known(scope):
            await self._app(scope, receive, send)
            return
        refusal = problem(
            403,
            "Pages of this origin may not change anything here: HARKEN_CORS_ORIGINS names those "
            "that may.",
        )
        await refusal(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        return (
            origin is None  # not a page
            or origin.partition("://")[2] == headers.get("host")
            or bool(self._others & {origin, "*"})
        )


class ApiKeyMiddleware:
    """Lets a request pass that carries a key, in `X-API-Key` or as a bearer token.

    One for a page passes without any key as well, and `may_see_data` is false then.
    """

    def __init__(
        self, app: ASGIApp, keys: Sequence[SecretStr], is_page: Callable[[str], bool]
    ) -> None:
        self._app = app
        self._is_page = is_page
        self._keys = [key.get_secret_value().encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] != "http" or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
            return
        given = _given(scope)
        if self._is_key(given):
            await self._app(scope, receive, send)
            return
        if not given and self._is_page(scope["path"]):
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


def _given(scope: Scope) -> str:
    """Return the key that came along with a request, or nothing."""
    headers = Headers(scope=scope)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
