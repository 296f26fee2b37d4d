"""Callers whose secret key was checked a moment ago, so that each request does not check it again.

They are looked up by the SHA-256 of the credentials as they were sent. So no key is kept, and the
time of a lookup says nothing about one: whoever guesses cannot choose the hash of a guess.
"""

import hashlib

from harken.services.access.key_ring import Snapshot
from harken.services.access.rights import Caller

MOST = 1_000
"""Credentials that are remembered; a holder of a valid key can send it in many ways."""


class CheckedCallers:
    """The callers that were found valid in one snapshot of the keys; another one empties it."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._callers: dict[bytes, Caller] = {}

    def find(self, snapshot: Snapshot, sent: bytes) -> Caller | None:
        """Return the caller who sent these credentials before, with the same valid keys."""
        if snapshot is not self._snapshot:
            return None
        return self._callers.get(hashlib.sha256(sent).digest())

    def add(self, snapshot: Snapshot, sent: bytes, caller: Caller) -> None:
        """Remember a caller whose credentials were checked, and do not expire."""
        if snapshot is not self._snapshot or len(self._callers) >= MOST:
            self._snapshot, self._callers = snapshot, {}
        self._callers[hashlib.sha256(sent).digest()] = caller
