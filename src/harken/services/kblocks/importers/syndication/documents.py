"""Decoding of documents, repair of common XML errors, and detection of their kind."""

import codecs
import html.entities
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple
from xml.parsers import expat

from harken.errors import InvalidInput, Problem
from harken.services.kblocks.html_parser import TolerantHTMLParser
from harken.services.kblocks.importers.syndication.fetching import Document
from harken.services.kblocks.web_addresses import resolve

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
# The encodings of "<" in wide characters without a BOM.
_WIDE = (
    (b"<\0\0\0", "utf-32-le"), (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"),
)  # fmt: skip
_DECLARED = re.compile(rb"""\s*<\?xml\b[^>]{0,200}?\bencoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})""")
# An encoding must decode this text unchanged. In other encodings, checks of the text could be
# bypassed.
_ASCII_TEXT = "<?xml encoding='&;:/"

_HEAD = 64 * 1024
_DECLARATION = re.compile(r"<\?xml\b[^>]{0,400}?\?>")
_ROOT = re.compile(r"<(?:\w{1,20}:)?(rss|feed|RDF|opml|channel)\b", re.IGNORECASE)
_ROOTS = {"rss", "feed", "rdf", "opml", "channel"}
_HTML = re.compile(r"<(?:!doctype\s+html|html)\b", re.IGNORECASE)
# Characters that XML may not contain.
_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# CDATA, comments and processing instructions are matched first, so that they are not changed. One
# without an end extends to the end of the text, which keeps the search linear.
_AMPERSAND = re.compile(
    r"<!\[CDATA\[(?:.*?\]\]>|.*)|<!--(?:.*?-->|.*)|<\?(?:.*?\?>|.*)"
    r"|&(?:\#(?P<decimal>[0-9]{1,8});|\#[xX](?P<hex>[0-9A-Fa-f]{1,7});|(?P<name>\w{1,32});)?",
    re.DOTALL,
)
_OF_XML = {"amp", "lt", "gt", "quot", "apos"}
_CHUNK = 4_096
MOST_NAMED = 20
"""So many feeds of a web page are named."""
_LAST = 0x10FFFF


class Kind(StrEnum):
    """The kind of a document."""

    XML = "xml"
    OPML = "opml"
    JSON = "json"


class Prepared(NamedTuple):
    """A document that is ready to be parsed: in UTF-8, without characters that stop a parser."""

    kind: Kind
    content: bytes
    url: str | None
    remarks: tuple[str, ...] = ()


class WebPage(InvalidInput):
    """A document is no feed but a web page; `feeds` are the addresses of those that it names."""

    def __init__(self, feeds: Sequence[str]) -> None:
        reason = "must be a feed, RSS or Atom; this is a web page"
        if feeds:
            reason = f"{reason}; its feed is at {feeds[0][:500]}"
        super().__init__(Problem("", reason))
        self.feeds = list(feeds)


def prepared(document: Document) -> Prepared:
    """Decode a document and detect its kind; raises InvalidInput, or WebPage.

    A document that declares entities is refused, since a few of them can expand to gigabytes. The
    text of an entity declaration in the content is allowed.
    """
    text, remark = _text(document)
    remarks = (remark,) if remark else ()
    text = text.lstrip("\ufeff \t\r\n\0")
    if not text:
        raise InvalidInput(Problem("", "must be a feed, RSS or Atom; the document is empty"))
    if text[0] in "{[":
        return Prepared(Kind.JSON, text.encode("utf-8", "replace"), document.url, remarks)
    if declaration := _DECLARATION.match(text):
        text = text[declaration.end() :].lstrip()
    content = _mended(text).encode()
    root = _root(content)
    if root == "html" or (root is None and _HTML.search(text[:_CHUNK])):
        raise WebPage(_feeds_of_page(text, document.url or ""))
    if root not in _ROOTS and (start := _ROOT.search(text[:_HEAD])):
        # The feed may follow a warning that a server printed. The text before it is dropped.
        root, content = start.group(1).lower(), _mended(text[start.start() :]).encode()
    if root is None:
        raise InvalidInput(Problem("", "must be a feed, RSS or Atom"))
    return Prepared(Kind.OPML if root == "opml" else Kind.XML, content, document.url, remarks)


def _text(document: Document) -> tuple[str, str | None]:
    content = document.content
    declared = _encodings(document)
    for name in dict.fromkeys((*declared, "utf-8")):
        try:
            return content.decode(name), None
        except (UnicodeError, LookupError):
            continue
    wrong = declared[0] if declared else "UTF-8"
    remark = f"is not {wrong}, as it should be; it was read as Windows-1252"
    return content.decode("cp1252", "replace"), remark


def _encodings(document: Document) -> list[str]:
    """Return the encodings that the document and its HTTP response declare, best first."""
    content = document.content
    for bom, name in _BOMS:
        if content.startswith(bom):
            return [name]
    for start, name in _WIDE:
        if content.startswith(start):
            return [name]
    declared = _DECLARED.match(content[:_CHUNK])
    names = [document.charset, declared.group(1).decode("ascii") if declared else None]
    return [name for name in names if name and _is_ascii_based(name)]


def _is_ascii_based(name: str) -> bool:
    try:
        plain = _ASCII_TEXT.encode("ascii").decode(name) == _ASCII_TEXT
        return plain and "+ADw-".encode("ascii").decode(name) == "+ADw-"
    except (UnicodeError, LookupError, ValueError):
        return False


def _root(content: bytes) -> str | None:
    """Return the name of the outermost element, in lower case, without its prefix."""
    prolog = _Prolog()
    parser = expat.ParserCreate(encoding="utf-8")
    parser.StartElementHandler = prolog.start
    parser.EntityDeclHandler = prolog.declare
    try:
        for at in range(0, len(content), _CHUNK):
            parser.Parse(content[at : at + _CHUNK], False)
            if prolog.root is not None or prolog.declares:
                break
        else:
            parser.Parse(b"", True)
    except expat.ExpatError:
        pass  # the feed parser reports errors after the first element
    if prolog.declares:
        raise InvalidInput(
            Problem("", "declares entities (<!ENTITY), which a feed does not need; remove them")
        )
    return prolog.root


class _Prolog:
    """Collects the name of the first element, and whether entities are declared before it."""

    def __init__(self) -> None:
        self.root: str | None = None
        self.declares = False

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        if self.root is None:
            self.root = name.rpartition(":")[2].lower()

    def declare(self, *_: object) -> None:
        self.declares = True


def _mended(text: str) -> str:
    """Return XML without forbidden characters, and with valid references after each &."""
    return _AMPERSAND.sub(_reference, _FORBIDDEN.sub("", text))


def _reference(match: re.Match[str]) -> str:
    whole = match.group()
    if whole[0] != "&":
        return whole
    name = match["name"]
    if name is not None:
        if name in _OF_XML:
            return whole
        meant = html.entities.html5.get(f"{name};")
        return f"&amp;{name};" if meant is None else "".join(f"&#{ord(each)};" for each in meant)
    digits = match["decimal"] or match["hex"]
    if digits is None:
        return f"&amp;{whole[1:]}"
    code = int(digits, 10 if match["decimal"] else 16)
    # As in browsers, 128 to 159 mean characters of Windows-1252.
    return html.unescape(whole) if code > _LAST or _FORBIDDEN.match(chr(code)) else whole


def _feeds_of_page(text: str, url: str) -> list[str]:
    finder = _FeedFinder()
    finder.feed(text[: 4 * _HEAD])
    base = resolve(url, finder.base)
    return list(dict.fromkeys(resolve(base, each) for each in finder.found))[:MOST_NAMED]


class _FeedFinder(TolerantHTMLParser):
    """Finds the feeds that a web page links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        kind = (values.get("type") or "").lower()
        is_feed = any(word in kind for word in ("rss", "atom", "feed+json"))
        rel = (values.get("rel") or "").lower().split()
        if tag == "link" and is_feed and "alternate" in rel and values.get("href"):
            self.found.append(str(values["href"]))
        elif tag == "base" and not self.base:
            self.base = values.get("href") or ""
