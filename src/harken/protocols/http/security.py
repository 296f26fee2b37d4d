"""The caller of a request, as the gate left it in the scope, and whether they may see data."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Scope

from harken.config import Settings
from harken.errors import InvalidSettings
from harken.services.access.rights import Caller

HEALTH = "/healthz"
READY = "/readyz"
METRICS = "/metrics"
CALLER = "harken.caller"
ANYONE = Caller()
"""The caller where nothing stands before the routes: an application that guards them itself."""
WITHOUT_KEY = Caller(sees_data=False)
"""The caller of a page that is opened without a key."""


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


def caller_of(scope: Scope) -> Caller:
    """Return the caller of a request, as the access rules recognised them."""
    caller: Caller = scope.get(CALLER, ANYONE)
    return caller


def may_see_data(scope: Scope) -> bool:
    """Return whether the answer to a request may contain data of the database."""
    return caller_of(scope).sees_data


def needs_key(scope: Scope) -> bool:
    """Return whether requests for data need a key."""
    return not caller_of(scope).is_local


def check_exposure(settings: Settings, *, has_keys: bool = False) -> None:
    """Raise InvalidSettings if a server without keys is reachable from other machines."""
    is_guarded = bool(settings.api_keys) or has_keys or settings.identity_header is not None
    if not settings.loopback and not is_guarded:
        raise InvalidSettings(
            f"HARKEN_HOST={settings.host} is reachable from other machines, and no API key "
            "protects it: make one with `harken keys create`, set HARKEN_API_KEYS, or serve on "
            "127.0.0.1"
        )
