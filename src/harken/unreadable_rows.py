"""Rows that cannot be read: each is named in the log once, and spoils nothing but itself."""

import json
import logging
from typing import Any

log = logging.getLogger(__name__)

MOST_NAMED = 10_000
KBLOCK, VERSION = "K-Block of number", "earlier version of the K-Block of number"
REMEDIES = {
    KBLOCK: "its id is {!r}; write it again, or delete it",
    VERSION: "its id is {!r}, and it is forgotten within hours",
}


class Unreadable:
    """Says which rows of a database cannot be read."""

    def __init__(self) -> None:
        self._named: set[tuple[str, str]] = set()

    def is_new(self, what: str, key: object) -> bool:
        """Tell whether a row was not named yet."""
        return (what, str(key)) not in self._named

    def name(self, what: str, key: object, remedy: str) -> None:
        """Name a row in the log, once: what it is, its key, and what can be done about it."""
        if self.is_new(what, key) and len(self._named) < MOST_NAMED:
            self._named.add((what, str(key)))
            log.warning("the %s %r cannot be read and is left out: %s", what, key, remedy)


def parsed(text: object, kind: type) -> Any:
    """Read JSON text of some kind, such as `dict`; None where it is something else."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, kind) else None
