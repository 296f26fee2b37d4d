"""The public keys that user tokens are verified with: a JWKS file (RFC 7517), read again on change.

An identity provider replaces its keys while servers run. So the file is looked at from time to
time, and read again if it has changed. If the new file cannot be used, the old keys stay in use.
"""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import jwt

from harken.errors import InvalidSettings, MissingExtra

log = logging.getLogger(__name__)

# Algorithms with a public key.
PUBLIC = frozenset({
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
})  # fmt: skip
CHECK_SECONDS = 1.0
"""How often the file is looked at, at most; only requests with a token that needs it ask."""

Version = tuple[int, ...]


class PublicKeys:
    """The keys of a JWKS file, by `kid`."""

    def __init__(self, path: Path, timer: Callable[[], float] = monotonic) -> None:
        """Read a file. Raises InvalidSettings or MissingExtra if it cannot be used."""
        self._path = path
        self._timer = timer
        self._version = _version(path)
        self._checked_at = timer()
        self._keys = _read(path)

    def find(self, kid: object) -> jwt.PyJWK | None:
        """Return the key of a token that names `kid`; None if there is none.

        A file with one key needs no names.
        """
        self._refresh()
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid) if isinstance(kid, str) else None

    def _refresh(self) -> None:
        """Read the file if it has changed; keep the keys if it cannot be used."""
        now = self._timer()
        if now - self._checked_at < CHECK_SECONDS:
            return
        self._checked_at = now
        version = _version(self._path)
        if version == self._version:
            return
        self._version = version
        try:
            self._keys = _read(self._path)
        except (InvalidSettings, MissingExtra) as error:
            log.warning("%s; the keys that were read before stay in use", error)
        else:
            log.info("HARKEN_TOKEN_JWKS=%s was read again: %d keys", self._path, len(self._keys))


def _version(path: Path) -> Version:
    """Return what changes whenever a file changes, is replaced or becomes readable."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _read(path: Path) -> dict[str, jwt.PyJWK]:
    name = f"HARKEN_TOKEN_JWKS={path}"
    try:
        found = json.loads(path.read_text("utf-8"))
        listed = [each for each in found["keys"] if each.get("use", "sig") == "sig"]
    except OSError as error:
        raise InvalidSettings(f"{name} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InvalidSettings(f'{name} is not a JWKS file: {{"keys": […]}}') from None
    keys = [_public(name, each) for each in listed]
    if not keys:
        raise InvalidSettings(f"{name} has no keys for signatures")
    if len(keys) > 1 and len({key.key_id for key in keys} - {None}) < len(keys):
        raise InvalidSettings(f"{name} has several keys, so each needs a `kid` of its own")
    return {key.key_id or "": key for key in keys}


def _public(name: str, fields: Mapping[str, Any]) -> jwt.PyJWK:
    if fields.get("kty") == "oct" or "d" in fields:
        # A file of public keys is not kept like a secret.
        raise InvalidSettings(
            f"{name} must contain public keys only; a shared secret goes in HARKEN_TOKEN_SECRET"
        )
    try:
        key = jwt.PyJWK(dict(fields))
    except jwt.exceptions.MissingCryptographyError:
        raise MissingExtra("HARKEN_TOKEN_JWKS", "jwks") from None
    except jwt.PyJWTError:
        raise InvalidSettings(f"{name} has a key that cannot be used") from None
    if key.algorithm_name not in PUBLIC:
        raise InvalidSettings(f"{name}: use one of the algorithms {', '.join(sorted(PUBLIC))}")
    return key
