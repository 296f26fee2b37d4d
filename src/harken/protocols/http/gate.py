"""The gate: one ASGI layer before all routes, that of recording included.

    host and origin ─▶ key ─▶ user token or sign-in ─▶ the rule of the route ─▶ limits
        ─▶ the application

It decides who the caller is, and stores them in the scope of the request; see `security.caller_of`.
Every refusal is logged, with the id of the key and the reason; keys and tokens never are.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harken.config import Settings
from harken.domain.feedback import GUEST
from harken.errors import Forbidden, HarkenError, InvalidInput, Unauthorized, quoted
from harken.protocols.http.addresses import path_of
from harken.protocols.http.errors import answer, problem
from harken.protocols.http.local_access import OriginRules, is_name_of_this_machine
from harken.protocols.http.rate_limits import RateLimits
from harken.protocols.http.request_ids import REQUEST_HEADER, request_id_of
from harken.protocols.http.route_rules import refusal, route_of, rules_of
from harken.protocols.http.security import CALLER, HEALTH, NO_PAGES, WITHOUT_KEY, Pages
from harken.protocols.http.sign_in import (
    NO_CREDENTIALS,
    Credentials,
    SignIns,
    changes_sign_in,
)
from harken.services.access.checked_callers import CheckedCallers
from harken.services.access.key_ring import KeyRing, Snapshot
from harken.services.access.keys import StoredKey
from harken.services.access.rights import GUEST_ACTIONS, Caller, KeyKind
from harken.services.access.rights import Scope as KeyScope
from harken.services.access.user_tokens import UserTokens

log = logging.getLogger(__name__)

TOKEN_HEADER = "X-Harken-User-Token"  # noqa: S105 — a name
_TOKEN = TOKEN_HEADER.lower().encode()
_REQUEST = REQUEST_HEADER.lower().encode()
STATUS = "harken.status"
"""Where the scope of a request has the status of its answer, for the layers around the gate."""
# Headers that say who sends a request. Two of one kind could be read differently by a proxy.
SINGLE = frozenset({b"authorization", b"host", b"origin", b"x-api-key", _TOKEN})
REPEATED = "A header that says who sends a request was sent twice; send it once."
LOCAL = Caller(is_local=True)
FROM_SETTINGS = Caller(is_from_settings=True)
# A user token opens what its reader may do; a publishable key alone has no scope.
READER_SCOPES = frozenset({KeyScope.INGEST, KeyScope.READ})
READER = Caller(READER_SCOPES, kind=KeyKind.PUBLISHABLE)

Fields = dict[bytes, bytes]


class Refused(Exception):
    """A request that is refused: its status, what its sender is told, and what the log says."""

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        key_id: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.key_id = key_id


class Gate:
    """An ASGI application that refuses requests, or forwards them with their caller."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        provide: Callable[[], Awaitable[KeyRing]],
        pages: Pages = NO_PAGES,
    ) -> None:
        """Guard an application. Raises InvalidSettings for keys of tokens that cannot be used."""
        self._app = app
        self._provide = provide
        self._pages = pages
        self._host = settings.host
        is_proxied = settings.identity_header is not None
        self._is_closed = bool(settings.api_keys) or not settings.loopback or is_proxied
        self._keys = [key.get_secret_value().encode() for key in settings.api_keys]
        self.tokens = UserTokens.of(settings)
        self._sign_ins = SignIns(settings, self.tokens, pages)
        self._identity = next(iter(self._sign_ins.headers), _TOKEN)
        self._single = SINGLE | self._sign_ins.headers
        self._origins = OriginRules(settings.cors_origins, pages)
        self._limits = RateLimits(settings)
        self._cors = _Cors(self._of_page_elsewhere, settings)
        self._is_shared = bool(settings.cors_origins)
        self._known: tuple[asyncio.AbstractEventLoop, KeyRing] | None = None
        self._checked = CheckedCallers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, or refuse it."""
        if scope["type"] == "websocket":  # there are none, so none is guarded
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: Fields = dict(scope["headers"])
        is_plain = len(headers) == len(scope["headers"]) or not self._is_repeated(scope["headers"])
        number = request_id_of(scope)

        async def send_numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (_REQUEST, number)]
                scope[STATUS] = message["status"]
            await send(message)

        if not is_plain:
            await self._refuse(scope, receive, send_numbered, Refused(400, REPEATED))
        elif b"origin" in headers and (self._is_shared or await self._is_page_known(headers)):
            await self._cors(scope, receive, send_numbered)
        else:
            await self._admit(scope, headers, receive, send_numbered)

    async def _ring(self) -> KeyRing:
        """Return the key ring of this event loop; it is kept, since each request needs it."""
        loop = asyncio.get_running_loop()
        if self._known is None or self._known[0] is not loop or self._known[1].is_closed:
            self._known = loop, await self._provide()
        return self._known[1]

    async def _is_page_known(self, headers: Fields) -> bool:
        """Return whether an origin is that of a publishable key."""
        try:
            found = await (await self._ring()).current()
        except HarkenError:
            return False  # the request itself is answered with the error
        self._cors.origins = found.origins
        return headers[b"origin"].decode("latin-1") in found.origins

    async def _of_page_elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._admit(scope, dict(scope["headers"]), receive, send)

    async def _admit(self, scope: Scope, headers: Fields, receive: Receive, send: Send) -> None:
        try:
            scope[CALLER] = await self._permitted(scope, headers)
        except Refused as refused:
            await self._refuse(scope, receive, send, refused)
        except HarkenError as error:  # the keys cannot be read
            await answer(error)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, refused: Refused) -> None:
        _log(scope, refused)
        refusing = problem(refused.status, refused.detail, headers=refused.headers)
        await refusing(scope, receive, send)

    async def _permitted(self, scope: Scope, headers: Fields) -> Caller:
        """Return the caller of a request that they may make; raises Refused or HarkenError."""
        caller = self._checked_caller(headers) or await self._caller(scope, headers)
        if not caller.sees_data:
            return caller
        if reason := refusal(rules_of(scope["method"], path_of(scope)), caller):
            if caller.sign_in is not None and self._pages.is_page(scope):
                return WITHOUT_KEY  # the page asks for a key
            # Without any key, one is needed; with one, another is.
            raise Refused(401 if caller.is_local else 403, reason, _ask(caller), caller.key_id)
        if self._limits and not _is_health(scope):
            self._count(scope, caller)
        return caller

    async def _caller(self, scope: Scope, headers: Fields) -> Caller:
        given = self._credentials(headers)
        if given.keys and any([self._is_setting(each) for each in given.keys]):  # noqa: C419 — all
            return self._as_reader(FROM_SETTINGS, scope, headers, given)
        if self._is_closed and _is_health(scope):
            return WITHOUT_KEY
        ring = await self._ring()
        found = ring.fresh or await ring.current()
        if not self._is_closed and not found.has_any:
            self._check_local(scope, headers)
            return self._as_reader(LOCAL, scope, headers, given)
        if _is_health(scope):
            return WITHOUT_KEY
        key = next(filter(None, map(ring.find, given.keys)), None)
        if key is None:
            return self._without_key(scope, headers, given, ring)
        ring.note_use(key.id)
        if key.kind is KeyKind.PUBLISHABLE:
            return self._of_page(scope, headers, key, given)
        caller = Caller(key.scopes, key.id)
        if given.token is None and key.expires_at is None:
            self._checked.add(found, _sent_key(headers), caller)
        return self._as_reader(caller, scope, headers, given)

    def _checked_caller(self, headers: Fields) -> Caller | None:
        """Return the caller of a request that has a key alone, which was checked a moment ago."""
        if self._known is None or _TOKEN in headers or self._identity in headers:
            return None
        if b"x-api-key" not in headers and b"authorization" not in headers:
            return None
        loop, ring = self._known
        keys = ring.fresh
        if keys is None or ring.is_closed or loop is not asyncio.get_running_loop():
            return None
        return self._checked.find(keys, _sent_key(headers))

    def _without_key(
        self, scope: Scope, headers: Fields, given: Credentials, ring: KeyRing
    ) -> Caller:
        if not given.keys:
            caller = self._as_reader(READER, scope, headers, given)
            if caller is not READER:
                return caller
            if self._pages.is_page(scope) or self._pages.is_static(scope):
                return WITHOUT_KEY
        if exceeded := self._limits.exceeded(address=_address(scope)):
            raise Refused(429, _too_many("address"), exceeded.headers)
        known = next(filter(None, map(ring.knows, given.keys)), None)
        raise Refused(
            401,
            "This API key is not valid."
            if given.keys
            else "An API key is needed, in the header X-API-Key or as Authorization: Bearer.",
            {"WWW-Authenticate": "Bearer"},
            known,
        )

    def _of_page(self, scope: Scope, headers: Fields, key: StoredKey, given: Credentials) -> Caller:
        """Return the caller of a publishable key: a reader with a token, or a guest."""
        if _origin(scope, headers) not in key.origins:
            raise Refused(403, "This key is for pages of other origins only.", key_id=key.id)
        if given.token is None:
            return Caller(frozenset(), key.id, key.kind, GUEST, GUEST_ACTIONS)
        return self._as_reader(replace(READER, key_id=key.id), scope, headers, given)

    def _as_reader(
        self, caller: Caller, scope: Scope, headers: Fields, given: Credentials
    ) -> Caller:
        """Bind a caller to the reader of their user token, their proxy, or their browser's cookie.

        Returns the caller unchanged if none of these names a reader.
        """
        try:
            if changes_sign_in(scope) and given is NO_CREDENTIALS:
                self._sign_ins.check_origin(scope, headers)
                self._count(scope, READER)
                return WITHOUT_KEY
            return self._sign_ins.bind(caller, scope, headers, given)
        except Unauthorized as error:
            if exceeded := self._limits.exceeded(address=_address(scope)):
                raise Refused(429, _too_many("address"), exceeded.headers) from None
            asked = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise Refused(401, _sentence(error), asked, caller.key_id) from None
        except InvalidInput as error:
            raise Refused(400, _sentence(error), key_id=caller.key_id) from None
        except Forbidden as error:
            raise Refused(403, _sentence(error), key_id=caller.key_id) from None

    def _check_local(self, scope: Scope, headers: Fields) -> None:
        if not is_name_of_this_machine(headers.get(b"host", b""), self._host):
            raise Refused(400, "Without API keys, this server is reached by names of this machine.")
        if not self._origins.allow(scope, headers):
            raise Refused(
                403,
                "Pages of this origin may not use this server. HARKEN_CORS_ORIGINS lists the "
                "origins that may.",
            )

    def _count(self, scope: Scope, caller: Caller) -> None:
        is_trusted = caller.kind is KeyKind.SECRET and not caller.is_local
        key = "settings" if caller.is_from_settings else caller.key_id
        exceeded = self._limits.exceeded(
            key=key,
            user=caller.user_id if caller.user_id != GUEST else None,
            address=None if is_trusted else _address(scope),
        )
        if exceeded:
            raise Refused(429, _too_many(exceeded.what), exceeded.headers, caller.key_id)

    def _credentials(self, headers: Fields) -> Credentials:
        """Return what is in the headers of a request.

        `Authorization: Bearer` has a key, or a token: keys have no dots, tokens have two. A key of
        the settings may have any form. A server without keys for user tokens takes none.
        """
        key, token = headers.get(b"x-api-key", b""), headers.get(_TOKEN)
        scheme, _, bearer = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        bearer = bearer.strip() if scheme.lower() == "bearer" else ""
        if not key and not bearer and token is None:
            return NO_CREDENTIALS
        keys = [key.decode("latin-1")] if key else []
        named = None if token is None else token.decode("latin-1")
        is_token = bearer.count(".") == 2 and self.tokens.are_set_up
        if is_token and not self._is_setting(bearer):
            return Credentials(keys, bearer if named is None else named)
        return Credentials([bearer, *keys] if bearer else keys, named)

    def _is_setting(self, given: str) -> bool:
        # All keys are compared, so that the time of the answer does not depend on the key.
        equal = [secrets.compare_digest(given.encode("latin-1"), key) for key in self._keys]
        return any(equal)

    def _is_repeated(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Return whether a header that says who sends a request is there twice."""
        names = [name for name, _value in headers if name in self._single]
        return len(set(names)) < len(names)


class _Cors(CORSMiddleware):
    """Answers pages of the origins that the settings or publishable keys name."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        options: dict[str, Any] = {
            "allow_origins": list(settings.cors_origins),
            "allow_methods": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            "allow_headers": ["Authorization", "Content-Type", "X-API-Key", TOKEN_HEADER],
            "expose_headers": ["Retry-After", "RateLimit-Reset", REQUEST_HEADER],
        }
        super().__init__(app, **options)
        self.origins: frozenset[str] = Snapshot().origins

    def is_allowed_origin(self, origin: str) -> bool:
        """Return whether pages of an origin may read answers."""
        return super().is_allowed_origin(origin) or origin in self.origins


def _sent_key(headers: Fields) -> bytes:
    return headers.get(b"x-api-key", b"") + b"\n" + headers.get(b"authorization", b"")


def _is_health(scope: Scope) -> bool:
    return path_of(scope) == HEALTH


def _origin(scope: Scope, headers: Fields) -> str:
    """Return the origin of the page that sent a request; browsers leave it out for their own."""
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin and headers.get(b"sec-fetch-site") == b"same-origin":
        return f"{scope.get('scheme', 'http')}://{headers.get(b'host', b'').decode('latin-1')}"
    return origin


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _sentence(error: HarkenError) -> str:
    said = str(error)
    return f"{said[0].upper()}{said[1:]}."


def _ask(caller: Caller) -> dict[str, str]:
    return {"WWW-Authenticate": "Bearer"} if caller.is_local else {}


def _too_many(what: str) -> str:
    return f"There are too many requests of this {what}; try again after Retry-After seconds."


def _log(scope: Scope, refused: Refused) -> None:
    log.info(
        "refused %s %s: %d %s (key %s, request %s)",
        quoted(scope["method"]),
        route_of(scope["method"], path_of(scope)),
        refused.status,
        refused.detail,
        refused.key_id or "unknown",
        request_id_of(scope).decode("latin-1"),
    )
