"""The text of keys: `hk_<id>_<secret>`, or `hp_<id>_<secret>` for publishable ones.

The id is public and is what logs name; the secret is 32 random bytes in base 62. A key is shown
once, and only the SHA-256 of its secret is stored. A fast hash suffices, because nobody can try
2^256 secrets; it would not for a password.
"""

import hashlib
import re
import secrets
import string
from datetime import datetime
from typing import NamedTuple

from harken.services.access.rights import KeyKind, Scope

SECRET_BYTES = 32
ID_LENGTH = 12

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH = 43  # characters of base 62 for 256 bits
_ID_LETTERS = string.digits + string.ascii_lowercase
_PREFIXES = {KeyKind.SECRET: "hk", KeyKind.PUBLISHABLE: "hp"}
_KINDS = {prefix: kind for kind, prefix in _PREFIXES.items()}
_WRITTEN = re.compile(
    rf"(h[kp])_([0-9a-z]{{{ID_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})", re.ASCII
)


class StoredKey(NamedTuple):
    """A key without its secret."""

    id: str
    name: str
    kind: KeyKind
    scopes: frozenset[Scope]
    origins: tuple[str, ...]
    sha256: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class WrittenKey(NamedTuple):
    """The parts of a key's text."""

    kind: KeyKind
    id: str
    secret: str

    @property
    def text(self) -> str:
        """The key as its holder writes it."""
        return f"{_PREFIXES[self.kind]}_{self.id}_{self.secret}"

    @property
    def sha256(self) -> str:
        """The hash of the secret that is stored, in hex."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


def draw(kind: KeyKind) -> WrittenKey:
    """Make a new key from the system's random numbers."""
    number = int.from_bytes(secrets.token_bytes(SECRET_BYTES))
    digits = []
    for _ in range(_SECRET_LENGTH):
        number, digit = divmod(number, len(_BASE62))
        digits.append(_BASE62[digit])
    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(ID_LENGTH))
    return WrittenKey(kind, key_id, "".join(reversed(digits)))


def parse(text: str) -> WrittenKey | None:
    """Split the text of a key; None if it is not one."""
    found = _WRITTEN.fullmatch(text)
    return None if found is None else WrittenKey(_KINDS[found[1]], found[2], found[3])


def matches(written: WrittenKey, stored: StoredKey | None) -> bool:
    """Return whether a key is the stored one, in a time that does not depend on either."""
    kept = "0" * 64 if stored is None else stored.sha256
    is_same = secrets.compare_digest(written.sha256, kept)
    return is_same and stored is not None and stored.kind is written.kind
