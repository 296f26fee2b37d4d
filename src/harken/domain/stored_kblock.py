"""Stored rows of K-Blocks: which can be read, and defaults for unreadable values.

Harken writes only readable rows. But a database may come from an older version, and other programs
can write to it. A row that cannot be read is left out of every feed, and affects no other row.
"""

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import from_json

from harken.domain.kblock import LAYERS, MAX_LOSS
from harken.domain.times import EARLIEST_TIME

LABELS = ("tags", "principles")
TEXTS = (("title", "unreadable"), ("content", ""), ("preview", ""), ("kind", "note"))


def labels(text: object) -> tuple[str, ...] | None:
    """Parse a JSON list of labels; None if it is not one."""
    try:
        found = from_json(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if not isinstance(found, list) or not set(map(type, found)) <= {str}:
        return None
    return tuple(found)


def folder(path: object) -> str | None:
    """Return the folder of a path; None for a path without a folder, and for an address."""
    if not isinstance(path, str) or "://" in path or "/" not in path:
        return None
    return path.rsplit("/", 1)[0] or None


def source_key(name: str) -> str:
    """Return the key of a source, by which its feed and its routes are named.

    It is a hash, since a name may be long, and may contain an address with a secret.
    """
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16]


def source_title(name: str) -> str:
    """Return a title for a source that has none: its host, or its name without the importer.

    >>> source_title("rss:https://example.org/feed?key=x"), source_title("markdown:notes")
    ('example.org', 'notes')
    """
    rest = name.partition(":")[2] or name
    try:
        host = urlsplit(rest).hostname if "://" in rest else None
    except ValueError:
        host = None
    return host or rest


def is_layer(value: object) -> bool:
    """Tell whether a value is a layer, or None."""
    return value is None or (isinstance(value, int) and LAYERS[0] <= value <= LAYERS[1])


def is_loss(value: object) -> bool:
    """Tell whether a value is a Galois loss, or None; NaN is neither."""
    return value is None or (isinstance(value, float | int) and 0 <= value <= MAX_LOSS)


def is_readable(row: Mapping[Any, Any]) -> bool:
    """Tell whether all columns that a K-Block is sorted and filtered by can be read."""
    return (
        row["created_at"] is not None
        and is_layer(row["layer"])
        and is_loss(row["galois_loss"])
        and isinstance(row["kind"], str)
        and (row["author"] is None or isinstance(row["author"], str))
        and all(labels(row[name]) is not None for name in LABELS)
    )


def as_read(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the values of a row, with defaults for unreadable ones.

    The default of a date is the time at which the K-Block first arrived.
    """
    layer, loss = row["layer"], row["galois_loss"]
    arrived = row["received_at"] or row["updated_at"] or EARLIEST_TIME
    return {
        **{name: row[name] if isinstance(row[name], str) else other for name, other in TEXTS},
        **{name: row[name] if isinstance(row[name], str) else None for name in ("author", "path")},
        "created_at": row["created_at"] or arrived,
        "updated_at": row["updated_at"] or arrived,
        "layer": layer if is_layer(layer) else None,
        "galois_loss": loss if is_loss(loss) else None,
        **{name: labels(row[name]) or () for name in LABELS},
    }
