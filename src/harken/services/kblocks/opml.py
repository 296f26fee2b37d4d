"""Where feeds are: in files, in folders, and at the addresses of an OPML file."""

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.parsers import expat

import harken
from harken.errors import InvalidInput, Problem
from harken.services.kblocks.folders import files_in
from harken.services.kblocks.importing import Failure

MAX_BYTES = 16 * 1024 * 1024
TIMEOUT_SECONDS = 20
WEB = ("http", "https")

_SUFFIXES = (".xml", ".rss", ".atom", ".rdf", ".opml")
_OPML = re.compile(rb"<opml\b", re.IGNORECASE)


def feeds_of(path: Path) -> Iterator[str | Failure]:
    """Yield where the feeds are that a file, a folder or an OPML file stands for: paths and URLs.

    Raises InvalidInput where there is nothing at `path`.
    """
    if path.is_dir():
        for unit in files_in(path, _SUFFIXES):
            if isinstance(unit, Failure):
                yield unit
            else:
                yield from _feeds_of_file(unit.full)
    else:
        yield from _feeds_of_file(path, must_exist=True)


def _feeds_of_file(path: Path, *, must_exist: bool = False) -> Iterator[str | Failure]:
    try:
        with path.open("rb") as file:
            is_opml = _OPML.search(file.read(4_096).replace(b"\0", b""))
    except OSError as error:
        if must_exist:
            raise InvalidInput(Problem("path", f"{path}: {error.strerror}")) from None
        is_opml = None  # it fails when it is read
    if not is_opml:
        yield str(path)
        return
    try:
        yield from _outlines(path, read(str(path)))
    except InvalidInput as error:
        yield Failure(str(path), str(error))


def _outlines(path: Path, document: bytes) -> list[str]:
    found: dict[str, None] = {}

    def start(_name: str, attributes: dict[str, str]) -> None:
        for name, value in attributes.items():
            if name.lower() == "xmlurl" and value.strip():
                found[_place(path, value.strip())] = None

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise InvalidInput(Problem("", f"is not well-formed XML: {error}")) from None
    return list(found)


def _place(opml: Path, address: str) -> str:
    if is_web(address):
        return address
    path = unquote(urlsplit(address).path) if address.lower().startswith("file:") else address
    return str(opml.parent / path)


def is_web(address: str) -> bool:
    """Tell whether an address is one of the web."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in WEB and bool(parts.netloc)


def read(place: str) -> bytes:
    """Return the document at a path or URL; raises InvalidInput.

    It takes no more than `MAX_BYTES`, and declares no entities: a few of them can stand for
    gigabytes.
    """
    try:
        document = _fetch(place) if is_web(place) else _read(Path(place))
    except (OSError, ValueError, http.client.HTTPException) as error:
        verb = "fetched" if is_web(place) else "read"
        raise InvalidInput(Problem("", f"cannot be {verb}: {_reason(error)}")) from None
    if len(document) > MAX_BYTES:
        raise InvalidInput(
            Problem("", f"takes more than {MAX_BYTES} bytes; at most these are read")
        )
    # Without zero bytes, UTF-16 and UTF-32 read like ASCII here.
    if b"<!entity" in document.replace(b"\0", b"").lower():
        raise InvalidInput(Problem("", "declares entities (<!ENTITY), which a feed does not need"))
    return document


def _reason(error: Exception) -> object:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return error
    return getattr(error, "strerror", None) or getattr(error, "reason", None) or error


def _read(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise ValueError("must be a regular file")
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _fetch(url: str) -> bytes:
    # Made by hand: the usual opener would follow a redirection to FTP as well.
    opener = urllib.request.OpenerDirector()
    handlers: list[Any] = [
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ]
    for handler in handlers:
        opener.add_handler(handler)
    request = urllib.request.Request(  # noqa: S310 — http and https only, as is_web() told
        url, headers={"User-Agent": f"harken/{harken.__version__}"}
    )
    deadline = time.monotonic() + TIMEOUT_SECONDS
    document = bytearray()
    response = opener.open(request, timeout=TIMEOUT_SECONDS)
    if response is None:
        raise ValueError("it leads to an address that is not http or https")
    with response:
        while len(document) <= MAX_BYTES and (part := response.read1(64 * 1024)):
            document += part
            if time.monotonic() > deadline:
                raise TimeoutError(f"it takes longer than {TIMEOUT_SECONDS} seconds")
    return bytes(document)
