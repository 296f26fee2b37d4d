"""Parsed feeds in one form for all formats: a head, and entries in their order."""

import io
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from harken.errors import InvalidInput, Problem
from harken.services.kblocks.attachments import Attachment
from harken.services.kblocks.importers.syndication.documents import Prepared
from harken.services.kblocks.importers.syndication.enclosures import (
    read_seconds,
    read_size,
    usable,
)
from harken.services.kblocks.text import from_html
from harken.services.kblocks.web_addresses import is_web, resolve

# Errors that feedparser is known to raise for malformed documents.
_BREAKDOWNS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip
_NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_HTML_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})")
_END_BY_THEMSELVES = {
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "p", "param",
    "source", "track", "wbr",
}  # fmt: skip
_LABEL = re.compile(
    rb"<(/?)(?:[a-zA-Z]{1,20}:)?(item|entry|category|subject|keywords)(?=[\s/>])", re.IGNORECASE
)
_NAMESPACE = re.compile(rb"""\sxmlns(?::[^\s=]{1,100})?\s*=\s*["'][^"']{0,300}""")
MOST_NAMESPACES = 500
_KEYWORDS = "harkenkeywords"
_LONGEST_TITLE = 20_000
MOST_CATEGORIES = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One article. Texts are on one line, except `html`, which is unchecked."""

    guid: str = ""
    link: str = ""
    title: str = ""
    html: str = ""
    base: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    enclosures: tuple[Attachment, ...] = ()

    @property
    def enclosures_text(self) -> tuple[str, ...]:
        """The addresses of the enclosures."""
        return tuple(each.url for each in self.enclosures)


@dataclass(frozen=True, slots=True)
class FeedHead:
    """The metadata of a feed. `raw_link` is its link before resolution."""

    title: str = ""
    guid: str = ""
    link: str = ""
    self_link: str = ""
    raw_link: str = ""


class ParsedFeed(NamedTuple):
    """A parsed feed; `broken` says why it could be read only in part."""

    head: FeedHead
    entries: list[Entry]
    broken: str | None = None


def line(text: Any) -> str:
    """Return text on one line, without control characters; empty for a value that is not text."""
    if not isinstance(text, str):
        return ""
    # Bidirectional marks and joiners stay: scripts and emoji need them.
    return " ".join(_NOT_TEXT.sub(" ", text).split())


class _FewerLabels:
    """Limits the categories per entry, since feedparser's time grows with their square.

    It keeps `MOST_CATEGORIES` of an entry. It renames the elements of the others, and of keyword
    lists, so that feedparser does not read them as categories.
    """

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, match: re.Match[bytes]) -> bytes:
        slash, name = match[1], match[2].lower()
        if name in {b"item", b"entry"}:
            self._count = 0
            return match[0]
        if name == b"keywords":
            return b"<" + slash + _KEYWORDS.encode()
        if not slash:
            self._count += 1
        return match[0] if self._count <= MOST_CATEGORIES else b"<" + slash + b"notread"


def parse_xml(document: Prepared) -> ParsedFeed:
    """Read RSS or Atom; raises InvalidInput."""
    if len(set(_NAMESPACE.findall(document.content))) > MOST_NAMESPACES:
        raise InvalidInput(Problem("", f"declares more than {MOST_NAMESPACES} namespaces"))
    import feedparser  # noqa: PLC0415 — a server that reads no feed does not need it

    try:
        # Passed as a stream, since feedparser opens a text as a file or URL. The content is
        # sanitized, and its links are resolved, when it becomes a K-Block.
        parsed = feedparser.parse(
            io.BytesIO(_LABEL.sub(_FewerLabels(), document.content)),
            response_headers={"content-type": "application/xml; charset=utf-8"},
            sanitize_html=False,
            resolve_relative_uris=False,
        )
        if not parsed.get("version") and not parsed.entries:
            raise InvalidInput(Problem("", "must be a feed, RSS or Atom"))
        head = _head(parsed.feed, document.url)
        fallback = head.link or document.url or ""
        entries = [_entry(entry, fallback, head.title) for entry in parsed.entries]
    except _BREAKDOWNS as error:
        raise InvalidInput(Problem("", f"cannot be read as a feed: {error}")) from None
    harmless = (feedparser.CharacterEncodingOverride, feedparser.NonXMLContentType)
    return ParsedFeed(head, entries, _broken(parsed, harmless))


def _broken(parsed: Any, harmless: tuple[type[Exception], ...]) -> str | None:
    if not parsed.bozo or isinstance(parsed.bozo_exception, harmless):
        return None
    count = len(parsed.entries)
    return f"is not well-formed XML; {count} entries could be read: {parsed.bozo_exception}"


def _head(feed: Any, url: str | None) -> FeedHead:
    raw_link = feed.get("link") or ""
    link = resolve(url or "", raw_link)
    links = (each.get("href") or "" for each in feed.get("links", ()) if each.get("rel") == "self")
    self_link = resolve(url or "", next(links, ""))
    return FeedHead(
        title=_title(feed),
        guid=line(feed.get("id")),
        link=link if is_web(link) else "",
        self_link=self_link if is_web(self_link) else "",
        raw_link=raw_link,
    )


def _entry(entry: Any, fallback: str, source: str) -> Entry:
    given = next((each for each in entry.get("content", ()) if each.get("value")), None)
    given = given or entry.get("summary_detail") or {}
    value = given.get("value") or ""
    if given.get("type") == "text/plain":
        value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    link, guid = line(entry.get("link")), line(entry.get("id"))
    if link == guid and not (is_web(link) or link.startswith("/")):
        link = ""  # a guid such as 17 without isPermaLink="false"
    # `dict.get`, since feedparser's own `get` warns, and returns one date in place of another.
    dates = (dict.get(entry, name) for name in ("published", "updated", "created"))
    tags = [line(tag.get("term")) or line(tag.get("label")) for tag in entry.get("tags", ())]
    tags += map(line, str(entry.get(_KEYWORDS) or "").split(",", MOST_CATEGORIES))
    return Entry(
        guid=guid,
        link=resolve(fallback, link) if link else "",
        title=_title(entry),
        html=value,
        base=resolve(fallback, given.get("base") or ""),
        author=_author(entry) or _title(entry.get("source") or {}) or source,
        tags=tuple(dict.fromkeys(tag for tag in tags if tag)),
        dates=tuple(each for date in dates if (each := line(date))),
        enclosures=_enclosures(entry, fallback),
    )


def _title(entry: Any) -> str:
    given = (entry.get("title") or "")[:_LONGEST_TITLE]
    is_plain = (entry.get("title_detail") or {}).get("type") == "text/plain"
    return line(given if is_plain else from_html(given))


def _author(entry: Any) -> str:
    # Of several, `author` is the last.
    names = (line(each.get("name")) for each in entry.get("authors", ()))
    return next(filter(None, names), "") or line(entry.get("author"))


def _enclosures(entry: Any, fallback: str) -> tuple[Attachment, ...]:
    files = [
        Attachment(
            resolve(fallback, line(each.get("href"))),
            line(each.get("title")),
            _type(each),
            read_size(line(each.get("length"))),
        )
        for each in entry.get("links", ())
        if each.get("rel") == "enclosure"
    ]
    files += [
        Attachment(
            resolve(fallback, line(each.get("url"))),
            media_type=line(each.get("type")),
            size_bytes=read_size(line(each.get("filesize"))),
            seconds=read_seconds(line(each.get("duration"))),
        )
        for each in entry.get("media_content", ())
    ]
    return usable(files, read_seconds(line(entry.get("itunes_duration"))))


def _type(link: Any) -> str:
    # What feedparser says of links that do not say their type.
    return "" if (given := line(link.get("type"))) == "text/html" else given


def nests_deeper(html: str, most: int) -> bool:
    """Tell whether tags of HTML may nest deeper than `most`, so that sanitizing takes too long.

    Elements without an end tag do not count.
    """
    open_tags: Counter[str] = Counter()
    depth = 0
    for match in _HTML_TAG.finditer(html):
        name = match[2].lower()
        if name in _END_BY_THEMSELVES:
            continue
        if not match[1]:
            open_tags[name] += 1
            depth += 1
        elif open_tags[name]:
            open_tags[name] -= 1
            depth -= 1
        if depth > most:
            return True
    return False


def file_name(url: str) -> str:
    """Return the name of a file from its URL."""
    parts = urlsplit(url)
    return line(unquote(parts.path.rstrip("/").rpartition("/")[2]))[:100] or parts.netloc
