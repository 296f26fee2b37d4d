"""Who may do what: scopes, kinds of keys, and the caller of a request."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harken.domain.feedback import GUEST, FeedbackAction
from harken.errors import Forbidden, InvalidInput, Problem, quoted


class Scope(StrEnum):
    """Groups of routes that a key may open."""

    INGEST = "ingest"
    READ = "read"
    ITEMS = "items"
    ADMIN = "admin"


class KeyKind(StrEnum):
    """Kinds of keys: for services, and for public pages."""

    SECRET = "secret"  # noqa: S105 — the name of a kind
    PUBLISHABLE = "publishable"


class SignIn(StrEnum):
    """How a browser is signed in: by a link, or by a proxy that says who reads."""

    LINK = "link"
    PROXY = "proxy"


SCOPES = frozenset(Scope)
# What a publishable key may record for readers that no token names.
GUEST_ACTIONS = frozenset({FeedbackAction.VIEW, FeedbackAction.ENGAGE})


@dataclass(frozen=True)
class Caller:
    """The sender of a request, and what they may do.

    `user_id` is the only reader as whom they may read and write; None allows every reader.
    `actions` are what they may record. `is_local` marks a request to a server without any key,
    `is_from_settings` one with a key of HARKEN_API_KEYS. `sees_data` is false for a page that was
    opened without a key, which contains no data. `sign_in` says how the browser of the request is
    signed in, None if it is not; `problem` why a sign-in that it has does not hold.
    """

    scopes: frozenset[Scope] = SCOPES
    key_id: str | None = None
    kind: KeyKind = KeyKind.SECRET
    user_id: str | None = None
    actions: frozenset[FeedbackAction] = frozenset(FeedbackAction)
    is_local: bool = False
    is_from_settings: bool = False
    sees_data: bool = True
    sign_in: SignIn | None = None
    problem: str | None = None

    @property
    def is_bound(self) -> bool:
        """Whether the caller may read and write as one reader only."""
        return self.user_id is not None

    def acts_as(self, given: str | None) -> str:
        """Return the reader of a request that names `given`; by default a guest.

        Raises Forbidden if the caller is bound to another reader.
        """
        if self.user_id is None:
            return GUEST if given is None else given
        if given is not None and given != self.user_id:
            raise Forbidden(f"user_id: you may read and write as {quoted(self.user_id)} only")
        return self.user_id

    def check_action(self, action: object) -> None:
        """Raise Forbidden for an action that the caller may not record."""
        if len(self.actions) < len(FeedbackAction) and action not in tuple(self.actions):
            named = " and ".join(sorted(self.actions))
            raise Forbidden(f"action: without a user token, this key records {named} only")


def check_key(name: str, kind: KeyKind, scopes: Sequence[Scope], origins: Sequence[str]) -> None:
    """Raise InvalidInput for a new key that makes no sense."""
    if not 1 <= len(name.strip()) <= 64 or not name.isprintable():
        raise InvalidInput(Problem("name", "must be 1 to 64 printable characters"))
    if kind is KeyKind.PUBLISHABLE:
        _check_publishable(scopes, origins)
        return
    if origins:
        raise InvalidInput(Problem("origins", "go with publishable keys only"))
    if not scopes:
        raise InvalidInput(Problem("scopes", f"give at least one of {', '.join(Scope)}"))


def _check_publishable(scopes: Sequence[Scope], origins: Sequence[str]) -> None:
    if scopes:
        raise InvalidInput(
            Problem("scopes", "go with secret keys only; a publishable key has fixed rights")
        )
    if not origins:
        raise InvalidInput(Problem("origins", "name the pages of this key: https://example.org"))
    for origin in origins:
        scheme, _, host = origin.partition("://")
        is_plain = origin.isascii() and origin.isprintable() and not set(host) & set("/?#@*, ")
        if scheme not in {"http", "https"} or not host or not is_plain:
            raise InvalidInput(
                Problem("origins", f"{quoted(origin)} is not an origin such as https://example.org")
            )
