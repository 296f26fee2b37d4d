"""Which K-Block of the store a found one is, where its id alone does not say."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from harken.domain.kblock import KBlock
from harken.services.kblocks.store import Kept

_USUAL_PORTS = {"http": 80, "https": 443}


class Identity(NamedTuple):
    """How else a K-Block may be kept, and what it does when its id is somebody else's.

    `others` are ids under which it may be kept already. `apart` is its id where its own one is
    that of another source's K-Block, with another title and address. `is_shared` says that
    others of the same source have what its id is made of: then only all that is known of it tells.
    """

    others: tuple[str, ...] = ()
    apart: str | None = None
    is_shared: bool = False


def same_address(url: str) -> str:
    """Return a URL without what does not tell two pages apart: scheme, www, a slash at the end.

    Anything but a URL of the web is returned as it is.

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
    # A fragment tells entries apart: some feeds give the same page for all of them.
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return f"{place}{parts.path.rstrip('/')}{query}{fragment}"


def recognised(
    kblock: KBlock,
    identity: Identity,
    source: str,
    kept: Mapping[str, Kept],
    taken: Mapping[str, Kept],
) -> str:
    """Return the id under which a K-Block is to be kept.

    `kept` has what the store has of its ids, and `taken` what the present import has already kept
    under some of them.
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


def _is_same(kblock: KBlock, kept: Kept, identity: Identity) -> bool:
    if kblock.title != kept.title or _address(kblock.path) != _address(kept.path):
        return False
    return not identity.is_shared or _is_at(kblock.created_at, kept.created_at)


def _is_at(given: datetime | None, kept: datetime | None) -> bool:
    return given is None or given == kept


def _is_like(kblock: KBlock, kept: Kept) -> bool:
    if kblock.title == kept.title:
        return True
    return kblock.path is not None and _address(kblock.path) == _address(kept.path)


def _address(path: str | None) -> str | None:
    return None if path is None else same_address(path)
