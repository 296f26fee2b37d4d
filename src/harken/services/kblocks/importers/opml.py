"""Locations of feeds: files, folders, URLs, and the entries of OPML files."""

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
from harken.services.kblocks.importers.run import ImportFailure
from harken.services.kblocks.importers.syndication.compression import Broken, TooLarge, decompressed
from harken.services.kblocks.importers.syndication.documents import Kind, Prepared, prepared
from harken.services.kblocks.importers.syndication.fetching import MAX_BYTES, Document, Fetcher
from harken.services.kblocks.web_addresses import is_web, resolve, without_secrets

MOST_FEEDS = 10_000
AT_ONCE = 8
"""How many feeds of an OPML file are fetched at the same time."""

_SUFFIXES = (".xml", ".rss", ".atom", ".rdf", ".opml", ".json")


class FeedLocation(NamedTuple):
    """The location of a feed: a path or a URL.

    `load` reads the document, and raises InvalidInput. `url` is the requested URL.
    """

    name: str
    load: Callable[[], Prepared]
    url: str | None = None


Location = FeedLocation | ImportFailure


def feed_locations(location: str, fetcher: Fetcher) -> Iterator[Location]:
    """Yield the feeds of a file, a folder, an OPML file or a URL.

    Raises InvalidInput if a path does not exist.
    """
    if is_web(location):
        yield from _locations_on_web(location, fetcher)
        return
    path = _path(location)
    if path.is_dir():
        for unit in files_in(path, _SUFFIXES):
            if isinstance(unit, ImportFailure):
                yield unit
            else:
                yield from _locations_in_file(unit.full, fetcher)
        return
    try:
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(Problem("path", f"{path}: {reason}")) from None
    yield from _locations_in_file(path, fetcher)


def _path(location: str) -> Path:
    if "://" in location:
        raise InvalidInput(
            Problem("path", "must be a path, or a URL that begins with http:// or https://")
        )
    return Path(location)


def _locations_on_web(url: str, fetcher: Fetcher) -> Iterator[Location]:
    name = without_secrets(url)
    try:
        document = prepared(fetcher.fetch(url, named=True))
    except InvalidInput as error:
        yield ImportFailure(name, str(error))
        return
    if document.kind is not Kind.OPML:
        yield FeedLocation(name, lambda: document, url)
        return
    # The document is untrusted: its entries may lead to the public internet, but not to files.
    base = document.url or url

    def location(address: str) -> Location:
        full = resolve(base, address)
        if is_web(full):
            return _web_location(full, fetcher, named=False)
        return ImportFailure(name, f"names {address[:200]!r}, which is not a URL of http or https")

    yield from _outlines(name, document, location)


def _locations_in_file(path: Path, fetcher: Fetcher) -> Iterator[Location]:
    name = str(path)
    try:
        document = prepared(Document(_content(path)))
    except InvalidInput as error:
        yield ImportFailure(name, str(error))
        return
    if document.kind is not Kind.OPML:
        yield FeedLocation(name, lambda: document)
        return

    def location(address: str) -> Location:
        if is_web(address):
            return _web_location(address, fetcher, named=True)
        return _file_location(path, address)

    yield from _outlines(name, document, location)


def _content(path: Path) -> bytes:
    """Read a file, optionally compressed with gzip."""
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


def _web_location(url: str, fetcher: Fetcher, *, named: bool) -> FeedLocation:
    def load() -> Prepared:
        return prepared(fetcher.fetch(url, named=named))

    return FeedLocation(without_secrets(url), load, url)


def _file_location(opml: Path, address: str) -> Location:
    is_url = address.lower().startswith("file:")
    inner = unquote(urlsplit(address).path) if is_url else address
    path = opml.parent / inner
    try:
        if not path.resolve().is_relative_to(opml.parent.resolve()):
            reason = (
                "leads out of the folder of the OPML file, and is not read; import it by itself"
            )
            return ImportFailure(str(path), reason)
    except (OSError, ValueError, RuntimeError):  # RuntimeError: a loop of links, up to Python 3.12
        return ImportFailure(str(path), "is not a path")
    if not path.exists():
        return ImportFailure(str(path), "cannot be read: No such file or directory")
    return FeedLocation(str(path), lambda: prepared(Document(_content(path))))


def _outlines(
    name: str, document: Prepared, location: Callable[[str], Location]
) -> Iterator[Location]:
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
        broken = ImportFailure(name, f"is not well-formed XML: {error}")
    yield from _ahead(_distinct(location(each) for each in islice(addresses, MOST_FEEDS)))
    if len(addresses) > MOST_FEEDS:
        reason = f"names {len(addresses)} feeds; the first {MOST_FEEDS} are read"
        yield ImportFailure(name, reason)
    if broken:
        yield broken


def _distinct(
    locations: Iterable[Location],
) -> Iterator[Location]:
    seen: set[str] = set()
    for location in locations:
        key = (
            same_address(location.url or location.name)
            if isinstance(location, FeedLocation)
            else None
        )
        if key is None or key not in seen:
            yield location
        if key is not None:
            seen.add(key)


def _of_web(address: str) -> str:
    """Return an address with http: in place of feed:, which some lists use."""
    if not address.lower().startswith("feed:"):
        return address
    rest = address[5:]
    return f"http:{rest}" if rest.startswith("//") else rest


def _ahead(
    locations: Iterable[Location],
) -> Iterator[Location]:
    """Yield locations in their order, while the next URLs are fetched in threads."""
    waiting: deque[Location] = deque()
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        for location in locations:
            if isinstance(location, FeedLocation) and location.url is not None:
                waiting.append(location._replace(load=pool.submit(location.load).result))
            else:
                waiting.append(location)
            if len(waiting) >= AT_ONCE:
                yield waiting.popleft()
        yield from waiting
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
