"""Who may use which route: the one table of routes and scopes.

A route without a row here fails a test. Ids in paths may contain slashes, so that several rows can
match a path; a caller needs the rights of all of them.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from starlette.routing import compile_path

from harken.protocols.http.addresses import READING  # also registers the convertor of ids
from harken.protocols.http.security import HEALTH, METRICS, READY
from harken.protocols.http.sign_in import END_PATH, PATH
from harken.services.access.rights import Caller, KeyKind, Scope


class Rule(NamedTuple):
    """Who may use a route.

    scope: the scope that a secret key needs; None for any valid key.
    reader: also a user token, with or without a publishable key, as the reader that it names.
    guest: also a publishable key alone, as a guest.
    settings: also a key of HARKEN_API_KEYS, and anyone on a local server without keys.
    """

    scope: Scope | None
    reader: bool = False
    guest: bool = False
    settings: bool = True

    def refusal(self, caller: Caller) -> str | None:
        """Return why a caller may not use the route; None if they may."""
        if caller.is_local or caller.is_from_settings:
            if self.settings:
                return None
            return f"This needs a key with the scope {self.scope}, made by `harken keys create`."
        if caller.kind is KeyKind.PUBLISHABLE:
            return self._refusal_of_page(caller)
        if self.scope is None or self.scope in caller.scopes:
            return None
        return f"This needs a key with the scope {self.scope}."

    def _refusal_of_page(self, caller: Caller) -> str | None:
        is_guest = len(caller.scopes) == 0
        if self.guest or (self.reader and not is_guest):
            return None
        if self.reader:
            return "This needs a user token beside the publishable key."
        return "This needs a secret key; publishable keys and user tokens are for readers only."


ANY_KEY = Rule(None)
NO_KEY = Rule(None, reader=True, guest=True)
"""The gate lets requests without a key in here, too."""
RECORDING = Rule(Scope.INGEST, reader=True, guest=True)
ANALYTICS = Rule(Scope.READ)
READERS = Rule(Scope.READ, reader=True)
WRITERS = Rule(Scope.INGEST, reader=True)
ITEMS = Rule(Scope.ITEMS)
MODELS = Rule(Scope.ADMIN)
ONE_READER = Rule(Scope.ADMIN)
FOLLOWERS = Rule(Scope.ADMIN)
EXPERIMENTS = Rule(Scope.ADMIN)
FLAGS = Rule(Scope.READ, reader=True, guest=True)
KEYS = Rule(Scope.ADMIN, settings=False)
INTEGRITY = Rule(Scope.ADMIN)
PRIVACY = Rule(Scope.ADMIN, settings=False)

FEEDS = ("cosmos", "coherent", "contradictions", "axioms", "handwavy", "personal")

ROUTES: dict[tuple[str, str], Rule] = {
    ("GET", HEALTH): NO_KEY,
    ("GET", READY): ANY_KEY,
    ("GET", METRICS): ANALYTICS,
    ("GET", "/openapi.json"): ANY_KEY,
    # Pages and their parts
    ("GET", "/static/{path:path}"): NO_KEY,
    ("GET", "/image/{token}"): NO_KEY,
    ("GET", PATH): NO_KEY,
    ("POST", PATH): NO_KEY,
    ("POST", END_PATH): NO_KEY,
    ("GET", "/"): READERS,
    ("GET", "/kblock"): READERS,
    ("GET", "/search"): READERS,
    ("GET", "/docs"): ANY_KEY,
    ("GET", "/dashboard"): ANALYTICS,
    ("GET", "/dashboard/report"): ANALYTICS,
    ("GET", "/experiments"): ANALYTICS,
    ("GET", "/experiments/{experiment_id}"): ANALYTICS,
    ("GET", "/sources"): READERS,
    ("GET", "/sources/list"): READERS,
    ("GET", "/reader/cards"): READERS,
    ("GET", "/reader/comments"): READERS,
    ("GET", "/reader/content"): READERS,
    ("GET", "/reader/dismissed"): READERS,
    ("GET", "/reader/like"): READERS,
    ("GET", "/reader/profile"): READERS,
    ("GET", "/reader/similar"): READERS,
    ("GET", "/reader/why"): READERS,
    # Recording
    ("POST", "/api/feed/feedback/record"): RECORDING,
    ("POST", "/api/feed/feedback/batch"): RECORDING,
    ("GET", "/api/feed/feedback/events"): FOLLOWERS,
    ("POST", "/xrpc/app.bsky.feed.sendInteractions"): RECORDING,
    # Feeds
    **{("GET", f"/api/feed/{name}"): READERS for name in FEEDS},
    ("GET", "/api/feed/config"): READERS,
    ("GET", "/api/feed/feeds"): READERS,
    ("GET", "/api/feed/feeds/{feed_id}"): READERS,
    ("GET", "/api/feed/feeds/{feed_id}/declaration"): READERS,
    ("PUT", "/api/feed/feeds/{feed_id}"): ITEMS,
    ("DELETE", "/api/feed/feeds/{feed_id}"): ITEMS,
    ("POST", "/api/feed/rank"): READERS,
    ("GET", "/api/feed/saved"): READERS,
    ("GET", "/api/feed/history"): READERS,
    # Readers
    ("GET", "/api/feed/dismissals"): READERS,
    ("DELETE", "/api/feed/dismissals/{kblock_id:id}"): WRITERS,
    ("DELETE", "/api/feed/saved/{kblock_id:id}"): WRITERS,
    ("DELETE", "/api/feed/contradictions/{interaction_id:id}"): WRITERS,
    ("POST", "/api/feed/reads"): WRITERS,
    ("GET", "/api/feed/unread"): READERS,
    ("GET", "/api/users/{user_id:id}"): READERS,
    ("PUT", "/api/users/{user_id:id}"): WRITERS,
    ("GET", "/api/users/{user_id:id}/preferences"): READERS,
    ("PUT", "/api/users/{user_id:id}/preferences"): WRITERS,
    ("GET", "/api/users/{user_id:id}/profile"): READERS,
    ("DELETE", "/api/users/{user_id:id}/profile"): WRITERS,
    # Items
    ("GET", "/api/kblocks/search"): READERS,
    ("GET", "/api/kblocks/{kblock_id:id}"): READERS,
    ("GET", "/api/kblocks/{kblock_id:id}/similar"): READERS,
    ("GET", "/api/kblocks/{kblock_id:id}/comments"): READERS,
    ("PATCH", "/api/comments/{comment_id:id}"): WRITERS,
    ("DELETE", "/api/comments/{comment_id:id}"): WRITERS,
    ("PUT", "/api/kblocks/{kblock_id:id}"): ITEMS,
    ("DELETE", "/api/kblocks/{kblock_id:id}"): ITEMS,
    ("POST", "/api/kblocks/batch"): ITEMS,
    # Sources
    ("GET", "/api/sources"): READERS,
    ("POST", "/api/sources"): ITEMS,
    ("POST", "/api/sources/refresh"): ITEMS,
    ("GET", "/api/sources/opml"): ITEMS,
    ("POST", "/api/sources/opml"): ITEMS,
    ("PATCH", "/api/sources/{source_id}"): ITEMS,
    ("DELETE", "/api/sources/{source_id}"): ITEMS,
    ("POST", "/api/sources/{source_id}/refresh"): ITEMS,
    ("PUT", "/api/sources/{source_id}/preference"): WRITERS,
    # Analytics, models and reports
    ("GET", "/api/feed/analytics"): ANALYTICS,
    ("GET", "/api/feed/analytics/timeseries"): ANALYTICS,
    ("GET", "/api/feed/analytics/extent"): ANALYTICS,
    ("GET", "/api/feed/analytics/dwell"): ANALYTICS,
    ("GET", "/api/feed/analytics/kblocks"): ANALYTICS,
    ("GET", "/api/feed/analytics/totals"): ANALYTICS,
    ("GET", "/api/feed/analytics/impressions"): ANALYTICS,
    ("GET", "/api/feed/analytics/position"): ANALYTICS,
    ("GET", "/api/feed/analytics/kblocks/{kblock_id:id}"): ANALYTICS,
    ("GET", "/api/feed/analytics/readers/{user_id:id}"): ONE_READER,
    ("GET", "/api/report"): ANALYTICS,
    ("POST", "/api/report"): MODELS,
    ("GET", "/api/report/html"): ANALYTICS,
    ("GET", "/api/models"): ANALYTICS,
    ("GET", "/api/models/{model_id}"): ANALYTICS,
    ("POST", "/api/models/rollback"): MODELS,
    ("POST", "/api/models/{model_id}/promote"): MODELS,
    ("POST", "/api/models/{model_id}/trial"): MODELS,
    # Integrity
    ("GET", "/integrity"): INTEGRITY,
    ("GET", "/api/integrity/alerts"): INTEGRITY,
    ("GET", "/api/integrity/alerts/{alert_id}"): INTEGRITY,
    ("POST", "/api/integrity/alerts/{alert_id}/dismissal"): INTEGRITY,
    ("GET", "/api/integrity/quarantines"): INTEGRITY,
    ("GET", "/api/integrity/quarantines/audit"): INTEGRITY,
    ("POST", "/api/integrity/quarantines"): INTEGRITY,
    ("POST", "/api/integrity/quarantines/release"): INTEGRITY,
    # Experiments and flags
    ("GET", "/api/experiments"): ANALYTICS,
    ("POST", "/api/experiments"): EXPERIMENTS,
    ("GET", "/api/experiments/{experiment_id}"): ANALYTICS,
    ("GET", "/api/experiments/{experiment_id}/results"): ANALYTICS,
    ("GET", "/api/experiments/{experiment_id}/power"): ANALYTICS,
    ("POST", "/api/experiments/{experiment_id}/start"): EXPERIMENTS,
    ("POST", "/api/experiments/{experiment_id}/stop"): EXPERIMENTS,
    ("POST", "/api/experiments/{experiment_id}/decide"): EXPERIMENTS,
    ("POST", "/api/experiments/exposures"): RECORDING,
    ("POST", "/ofrep/v1/evaluate/flags"): FLAGS,
    ("POST", "/ofrep/v1/evaluate/flags/{key}"): FLAGS,
    # Privacy
    ("GET", "/api/users/{user_id:id}/export"): PRIVACY,
    ("POST", "/api/users/{user_id:id}/erasure"): PRIVACY,
    ("DELETE", "/api/users/{user_id:id}/erasure"): PRIVACY,
    ("POST", "/api/kblocks/{kblock_id:id}/erasure"): PRIVACY,
    ("DELETE", "/api/kblocks/{kblock_id:id}/erasure"): PRIVACY,
    # Keys
    ("GET", "/api/keys"): KEYS,
    ("POST", "/api/keys"): KEYS,
    ("POST", "/api/keys/{key_id}/rotate"): KEYS,
    ("DELETE", "/api/keys/{key_id}"): KEYS,
}
UNKNOWN_ROUTE = "an unknown path"
UNKNOWN_FEED = "/api/feed/{name}"
"""Answers every method with a 404, so that it needs no row."""

_CONVERTOR = re.compile(r":\w+}")
_MATCHERS = [(*route, compile_path(route[1])[0]) for route in ROUTES]


@lru_cache(4_096)
def rules_of(method: str, path: str) -> tuple[Rule, ...]:
    """Return the rules of a path inside the application; any valid key opens an unknown path."""
    return tuple(dict.fromkeys(ROUTES[each] for each in _matching(method, path))) or (ANY_KEY,)


@lru_cache(4_096)
def route_of(method: str, path: str) -> str:
    """Return the template of a path, such as `/api/users/{user_id}`, for logs and metrics.

    Ids may contain slashes, so several routes can match; the longest is the most specific.
    """
    matching = (row for _method, row in _matching(method, path))
    return _CONVERTOR.sub("}", max(matching, key=len, default=UNKNOWN_ROUTE))


def _matching(method: str, path: str) -> list[tuple[str, str]]:
    asked = "GET" if method in READING else method
    return [
        (each, row) for each, row, pattern in _MATCHERS if each == asked and pattern.match(path)
    ]


def refusal(rules: Sequence[Rule], caller: Caller) -> str | None:
    """Return why a caller may not use the routes of these rules; None if they may."""
    for rule in rules:
        if reason := rule.refusal(caller):
            return reason
    return None
