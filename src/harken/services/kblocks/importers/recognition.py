"""Matching of imported K-Blocks with stored ones, if the id alone is not enough."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from harken.domain.kblock import KBlock
from harken.services.kblocks.store import StoredProperties

_USUAL_PORTS = {"http": 80, "https": 443}


class Identity(NamedTuple):
    """Other ids under which a K-Block may be stored, and its id in case of a conflict.

    `others` are alternative ids. `apart` is the id to use if a K-Block of another source, with
    another title and address, has its own id. `is_shared` says that several entries of the source
    have the same key: then the title, the address and the date must all match.
    """

    others: tuple[str, ...] = ()
    apart: str | None = None
    is_shared: bool = False


def same_address(url: str) -> str:
    """Return a URL without scheme, `www.` and final slash, which do not identify a page.

    Any text that is not a URL of http or https is returned unchanged.

    >>> same_address("https://www.Example.org/a/") == same_address("http://example.org/a")
    True
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return url
    if parts.scheme not in _USUAL_PORTS or not host:
        return url
    place = host.removeprefix("www.")
    if port not in {None, _USUAL_PORTS[parts.scheme]}:
        place += f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    # The fragment is kept: some feeds use one page for all entries.
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return f"{place}{parts.path.rstrip('/')}{query}{fragment}"


def recognised(
    kblock: KBlock,
    identity: Identity,
    source: str,
    kept: Mapping[str, StoredProperties],
    taken: Mapping[str, StoredProperties],
) -> str:
    """Return the id under which a K-Block is to be stored.

    `kept` are the stored K-Blocks with its ids, and `taken` those that this import has written.
    """
    own = kblock.id
    free = [each for each in identity.others if each not in taken]
    candidates = [own, *(each for each in free if each in kept)]
    for each in candidates:
        if each in kept and each not in taken and _is_same(kblock, kept[each], identity):
            return each
    if (holder := taken.get(own) or kept.get(own)) is not None:
        is_other = holder.source != source and not _is_like(kblock, holder)
        return identity.apart if identity.apart and is_other else own
    if not identity.is_shared:
        return next((each for each in candidates[1:] if _is_like(kblock, kept[each])), own)
    return own


def _is_same(kblock: KBlock, kept: StoredProperties, identity: Identity) -> bool:
    if kblock.title != kept.title or _address(kblock.path) != _address(kept.path):
        return False
    return not identity.is_shared or _is_at(kblock.created_at, kept.created_at)


def _is_at(given: datetime | None, kept: datetime | None) -> bool:
    return given is None or given == kept


def _is_like(kblock: KBlock, kept: StoredProperties) -> bool:
    if kblock.title == kept.title:
        return True
    return kblock.path is not None and _address(kblock.path) == _address(kept.path)


def _address(path: str | None) -> str | None:
    return None if path is None else same_address(path)
