"""Where feeds are: in files, in folders, on the web, and where an OPML file says."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from xml.parsers import expat

from harken.errors import InvalidInput, Problem
from harken.services.kblocks.importers.folders import files_in
from harken.services.kblocks.importers.recognition import same_address
from harken.services.kblocks.importers.run import Failure
from harken.services.kblocks.importers.syndication.compression import Broken, TooLarge, decompressed
from harken.services.kblocks.importers.syndication.documents import Kind, Prepared, prepared
from harken.services.kblocks.importers.syndication.entries import resolve
from harken.services.kblocks.importers.syndication.fetching import (
    MAX_BYTES,
    Document,
    Fetcher,
    is_web,
    without_secrets,
)

MOST_FEEDS = 10_000
AT_ONCE = 8
"""How many feeds of an OPML file are fetched at the same time."""

_SUFFIXES = (".xml", ".rss", ".atom", ".rdf", ".opml", ".json")


class Place(NamedTuple):
    """Where a feed is: a path, or an address of the web.

    `load` reads it, and raises InvalidInput. `url` is the address that was asked for.
    """

    name: str
    load: Callable[[], Prepared]
    url: str | None = None


def places_of(location: str, fetcher: Fetcher) -> Iterator[Place | Failure]:
    """Yield where the feeds are that a file, a folder, an OPML file or a URL stands for.

    Raises InvalidInput where there is nothing at a path.
    """
    if is_web(location):
        yield from _places_on_web(location, fetcher)
        return
    path = _path(location)
    if path.is_dir():
        for unit in files_in(path, _SUFFIXES):
            if isinstance(unit, Failure):
                yield unit
            else:
                yield from _places_in_file(unit.full, fetcher)
        return
    try:
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(Problem("path", f"{path}: {reason}")) from None
    yield from _places_in_file(path, fetcher)


def _path(location: str) -> Path:
    if "://" in location:
        raise InvalidInput(
            Problem("path", "must be a path, or an address that begins with http:// or https://")
        )
    return Path(location)


def _places_on_web(url: str, fetcher: Fetcher) -> Iterator[Place | Failure]:
    name = without_secrets(url)
    try:
        document = prepared(fetcher.fetch(url, named=True))
    except InvalidInput as error:
        yield Failure(name, str(error))
        return
    if document.kind is not Kind.OPML:
        yield Place(name, lambda: document, url)
        return
    # Somebody else wrote it: it may lead to the public internet only, and to no file.
    base = document.url or url

    def place(address: str) -> Place | Failure:
        full = resolve(base, address)
        if is_web(full):
            return _web_place(full, fetcher, named=False)
        return Failure(name, f"names {address[:200]!r}, which is no address of the web")

    yield from _outlines(name, document, place)


def _places_in_file(path: Path, fetcher: Fetcher) -> Iterator[Place | Failure]:
    name = str(path)
    try:
        document = prepared(Document(_content(path)))
    except InvalidInput as error:
        yield Failure(name, str(error))
        return
    if document.kind is not Kind.OPML:
        yield Place(name, lambda: document)
        return

    def place(address: str) -> Place | Failure:
        if is_web(address):
            return _web_place(address, fetcher, named=True)
        return _file_place(path, address)

    yield from _outlines(name, document, place)


def _content(path: Path) -> bytes:
    """Read a file, compressed by gzip or not."""
    too_large = f"takes more than {MAX_BYTES} bytes; at most these are read"
    try:
        if not path.is_file():
            raise InvalidInput(Problem("", "cannot be read: must be a regular file"))
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InvalidInput(Problem("", too_large))
        return decompressed(content, "", MAX_BYTES)
    except TooLarge:
        raise InvalidInput(Problem("", too_large)) from None
    except (OSError, Broken) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(Problem("", f"cannot be read: {reason}")) from None


def _web_place(url: str, fetcher: Fetcher, *, named: bool) -> Place:
    def load() -> Prepared:
        return prepared(fetcher.fetch(url, named=named))

    return Place(without_secrets(url), load, url)


def _file_place(opml: Path, address: str) -> Place | Failure:
    is_url = address.lower().startswith("file:")
    inner = unquote(urlsplit(address).path) if is_url else address
    path = opml.parent / inner
    try:
        if not path.resolve().is_relative_to(opml.parent.resolve()):
            reason = (
                "leads out of the folder of the OPML file, and is not read; import it by itself"
            )
            return Failure(str(path), reason)
    except (OSError, ValueError, RuntimeError):  # RuntimeError: a loop of links, up to Python 3.12
        return Failure(str(path), "is no path")
    if not path.exists():
        return Failure(str(path), "cannot be read: No such file or directory")
    return Place(str(path), lambda: prepared(Document(_content(path))))


def _outlines(
    name: str, document: Prepared, place: Callable[[str], Place | Failure]
) -> Iterator[Place | Failure]:
    addresses: dict[str, None] = {}

    def start(_name: str, attributes: dict[str, str]) -> None:
        for key, value in attributes.items():
            if key.lower() == "xmlurl" and value.strip():
                addresses[_of_web(value.strip())] = None

    parser = expat.ParserCreate(encoding="utf-8")
    parser.StartElementHandler = start
    broken = None
    try:
        parser.Parse(document.content, True)
    except expat.ExpatError as error:
        broken = Failure(name, f"is not well-formed XML: {error}")
    yield from _ahead(_distinct(place(each) for each in islice(addresses, MOST_FEEDS)))
    if len(addresses) > MOST_FEEDS:
        reason = f"names {len(addresses)} feeds; the first {MOST_FEEDS} are read"
        yield Failure(name, reason)
    if broken:
        yield broken


def _distinct(places: Iterable[Place | Failure]) -> Iterator[Place | Failure]:
    seen: set[str] = set()
    for place in places:
        key = same_address(place.url or place.name) if isinstance(place, Place) else None
        if key is None or key not in seen:
            yield place
        if key is not None:
            seen.add(key)


def _of_web(address: str) -> str:
    """Return an address as browsers have it; some lists say feed: instead of http:."""
    if not address.lower().startswith("feed:"):
        return address
    rest = address[5:]
    return f"http:{rest}" if rest.startswith("//") else rest


def _ahead(places: Iterable[Place | Failure]) -> Iterator[Place | Failure]:
    """Yield places in their order; some of those on the web that come next are being fetched."""
    waiting: deque[Place | Failure] = deque()
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        for place in places:
            if isinstance(place, Place) and place.url is not None:
                waiting.append(place._replace(load=pool.submit(place.load).result))
            else:
                waiting.append(place)
            if len(waiting) >= AT_ONCE:
                yield waiting.popleft()
        yield from waiting
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
