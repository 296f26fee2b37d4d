"""Tokens that say who a reader is: JSON Web Tokens (RFC 7519) that an application signs.

An application that knows its readers signs `{"sub": reader, "aud": …, "iss": …, "exp": …}` with a
secret that it shares with Harken (HS256), or with a private key whose public key is in a JWKS file
(RFC 7517). The algorithm is that of the key, never that which the token asks for: a public key is
never used as the secret of HS256 (RFC 8725, section 3.1).

A signature is checked once: that takes about as long as recording an event. Then a token is known
by its digest, until it expires or its key is replaced.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any, NamedTuple

from harken.config import Settings
from harken.domain.feedback import GUEST
from harken.domain.fields import check_identifier
from harken.errors import InvalidInput, InvalidSettings, Problem, Unauthorized

if TYPE_CHECKING:
    from harken.services.access.public_keys import PublicKeys

SHARED = "HS256"
REQUIRED = ["exp", "sub", "aud", "iss"]
LEEWAY = timedelta(seconds=10)
"""By how much the clock of the application that signs may differ."""
MOST_CHARACTERS = 8_192
FARTHEST = 2**53
"""The latest end of a token, in seconds since 1970, that a float holds exactly."""
MOST_KNOWN = 10_000
"""Tokens whose signature need not be checked again; the oldest ones are forgotten."""

_REASONS = {
    "ExpiredSignatureError": "has expired",
    "InvalidAudienceError": "is for another audience than HARKEN_TOKEN_AUDIENCE",
    "InvalidIssuerError": "is of another issuer than HARKEN_TOKEN_ISSUER",
    "ImmatureSignatureError": "is not valid yet",
    "MissingRequiredClaimError": f"needs the claims {', '.join(REQUIRED)}",
    "InvalidSignatureError": "has a wrong signature",
}
"""What the errors of PyJWT say of a token; it is imported with the first token."""


class _Verified(NamedTuple):
    """A token that was accepted: its reader, until when, and the key that signed it."""

    reader: str
    until: float
    header: Mapping[str, Any]
    key: Any


class UserTokens:
    """Verifies user tokens, with the keys of the settings."""

    def __init__(
        self, secret: str | None, public: "PublicKeys | None", audience: str, issuer: str
    ) -> None:
        self._secret = secret
        self._public = public
        self._audience = audience
        self._issuer = issuer
        self._known: dict[bytes, _Verified] = {}

    @classmethod
    def of(cls, settings: Settings, timer: Callable[[], float] = monotonic) -> "UserTokens":
        """Read the keys that the settings name. Raises InvalidSettings or MissingExtra."""
        secret = settings.token_secret
        path = settings.token_jwks
        public = None
        if path is not None:
            from harken.services.access.public_keys import PublicKeys  # noqa: PLC0415

            public = PublicKeys(Path(path), timer)
        return cls(
            None if secret is None else secret.get_secret_value(),
            public,
            settings.token_audience,
            settings.token_issuer,
        )

    @property
    def are_set_up(self) -> bool:
        """Whether there is a key to verify tokens with."""
        return bool(self._secret) or self._public is not None

    def reader(self, token: str) -> str:
        """Return the reader that a token names. Raises Unauthorized with the reason."""
        if not self.are_set_up:
            raise Unauthorized(
                "user tokens are not set up here: set HARKEN_TOKEN_SECRET or HARKEN_TOKEN_JWKS"
            )
        if len(token) > MOST_CHARACTERS:
            raise Unauthorized(f"the user token is longer than {MOST_CHARACTERS} characters")
        if not token.isascii():
            raise Unauthorized("the user token is not a token: it has letters that no token has")
        digest = sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is None or not self._holds(known):
            self._known.pop(digest, None)
            known = self._verified(token)
            if len(self._known) >= MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[digest] = known
        return known.reader

    def _holds(self, known: _Verified) -> bool:
        """Tell whether a token has not expired, and its key is still the one to use."""
        if time() >= known.until:
            return False
        import jwt  # noqa: PLC0415

        try:
            return self._key_of(known.header)[0] is known.key
        except jwt.PyJWTError:
            return False

    def _verified(self, token: str) -> _Verified:
        import jwt  # noqa: PLC0415

        try:
            header = jwt.get_unverified_header(token)
            key, algorithm = self._key_of(header)
            claims = jwt.decode(
                token, key, algorithms=[algorithm], audience=self._audience, issuer=self._issuer,
                leeway=LEEWAY, options={"require": REQUIRED},
            )  # fmt: skip
        except jwt.PyJWTError as error:
            reason = next(
                (
                    _REASONS[kind.__name__]
                    for kind in type(error).mro()
                    if kind.__name__ in _REASONS
                ),
                "is not a token signed with a key of this server",
            )
            raise Unauthorized(f"the user token {reason}") from None
        until = min(int(claims["exp"]), FARTHEST) + LEEWAY.total_seconds()
        return _Verified(_subject(claims), until, header, key)

    def sign(self, user_id: str, lifetime: timedelta) -> str:
        """Return a token for a reader, signed with HARKEN_TOKEN_SECRET, for trials.

        Raises InvalidInput, or InvalidSettings without a secret.
        """
        check_identifier("user", user_id)
        if user_id == GUEST:
            raise InvalidInput(Problem("user", f"{GUEST} stands for all unknown readers"))
        if not self._secret:
            raise InvalidSettings("HARKEN_TOKEN_SECRET is not set, so no token can be signed")
        import jwt  # noqa: PLC0415

        now = datetime.now(UTC)
        claims = {
            "sub": user_id, "aud": self._audience, "iss": self._issuer,
            "iat": now, "exp": now + lifetime,
        }  # fmt: skip
        return jwt.encode(claims, self._secret, algorithm=SHARED)

    def _key_of(self, header: Mapping[str, Any]) -> tuple[Any, str]:
        """Return the key for a token's header, and the only algorithm to use it with."""
        import jwt  # noqa: PLC0415

        if header.get("alg") == SHARED:
            if not self._secret:
                raise jwt.InvalidAlgorithmError
            return self._secret, SHARED
        found = None if self._public is None else self._public.find(header.get("kid"))
        if found is None:
            raise jwt.InvalidKeyError
        return found.key, found.algorithm_name


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["sub"]
    try:
        check_identifier("sub", subject)
    except InvalidInput:
        raise Unauthorized("the user token has a `sub` that is not the id of a reader") from None
    if subject == GUEST:
        raise Unauthorized(f"the user token names {GUEST}, who is no reader in particular")
    return str(subject)
