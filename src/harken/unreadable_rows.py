"""Database rows that cannot be read: each is logged once and left out."""

import json
import logging
from typing import Any

log = logging.getLogger(__name__)

MOST_NAMED = 10_000
KBLOCK, VERSION = "K-Block of number", "earlier version of the K-Block of number"
REMEDIES = {
    KBLOCK: "its id is {!r}; write it again, or delete it",
    VERSION: "its id is {!r}; this version is deleted within hours",
}


class Unreadable:
    """Logs the rows of a database that cannot be read, each once."""

    def __init__(self) -> None:
        self._named: set[tuple[str, str]] = set()

    def is_new(self, what: str, key: object) -> bool:
        """Tell whether a row has not been logged yet."""
        return (what, str(key)) not in self._named

    def name(self, what: str, key: object, remedy: str) -> None:
        """Log a row once: what it is, its key, and how it can be repaired."""
        if self.is_new(what, key) and len(self._named) < MOST_NAMED:
            self._named.add((what, str(key)))
            log.warning("the %s %r cannot be read and is left out: %s", what, key, remedy)


def parsed(text: object, kind: type) -> Any:
    """Parse JSON text, and return it if it is of type `kind`, such as `dict`; else None."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, kind) else None
