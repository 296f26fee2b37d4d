"""Articles of feeds: RSS and Atom."""

import hashlib
import html
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import feedparser
import nh3

from harken.domain.fields import ID_LENGTH
from harken.domain.kblock import MAX_LABELS, MAX_PATH, MAX_TITLE, KBlock
from harken.errors import InvalidInput
from harken.services.kblocks.importing import Failure, Found, source_name
from harken.services.kblocks.opml import feeds_of, is_web, read
from harken.services.kblocks.text import from_html, preview

_TAG = re.compile(r"\s*<[a-zA-Z]")
# What feedparser is known to raise over documents that nobody foresaw.
_BREAKDOWNS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip
_URL_SCHEMES = {"http", "https", "mailto"}


def feeds(path: Path) -> Iterator["Feed"]:
    """Yield the feeds that a file, a folder of files or an OPML file stands for.

    Raises InvalidInput where there is nothing at `path`.
    """
    for place in feeds_of(path):
        yield Feed(place)


class Feed:
    """The articles of one feed. Those that it no longer has dropped out, and are kept."""

    is_whole = False

    def __init__(self, place: str | Failure) -> None:
        """Name a feed by its path or URL; nothing is read yet.

        One that is known to be unreadable yields why.
        """
        self._place = place
        where = place.where if isinstance(place, Failure) else place
        self.name = source_name("rss", where if is_web(where) else Path(where).name)
        self.done = 0
        self.total: int | None = None
        self.remarks: list[str] = []

    def __iter__(self) -> Iterator[Found | Failure]:
        """Read the articles, in the feed's order."""
        if isinstance(self._place, Failure):
            yield self._place
            return
        try:
            document = read(self._place)
        except InvalidInput as error:
            yield Failure(self._place, str(error))
            return
        try:
            parsed = _parse(document, self._place)
        except _BREAKDOWNS as error:
            yield Failure(self._place, f"cannot be read as a feed: {error}")
            return
        self.total = len(parsed.entries)
        if reason := _broken(parsed):
            yield Failure(self._place, reason)
        feed = parsed.feed.get("id") or parsed.feed.get("link") or self.name
        for number, entry in enumerate(parsed.entries, 1):
            self.done = number
            where = f"{self._place}, entry {number}"
            try:
                yield Found(where, KBlock.parse(_fields(feed, entry)))
            except InvalidInput as error:
                yield Failure(where, str(error))


def _parse(document: bytes, place: str) -> Any:
    # Handed over as a stream: text or a name, feedparser would open as a file or URL.
    headers = {"content-location": place} if is_web(place) else {}
    return feedparser.parse(io.BytesIO(document), response_headers=headers)


def _broken(parsed: Any) -> str | None:
    if not parsed.get("version") and not parsed.entries:
        return "must be a feed, RSS or Atom"
    harmless = (feedparser.CharacterEncodingOverride, feedparser.NonXMLContentType)
    if not parsed.bozo or isinstance(parsed.bozo_exception, harmless):
        return None
    count = len(parsed.entries)
    return f"is not well-formed XML; {count} entries could be read: {parsed.bozo_exception}"


def _fields(feed: str, entry: Any) -> dict[str, Any]:
    link = entry.get("link") or ""
    content = _content(entry)
    title = _title(entry) or preview(content, 80) or link
    own = entry.get("id") or link or title
    tags = (tag.get("term") or tag.get("label") or "" for tag in entry.get("tags", ()))
    return {
        "id": hashlib.sha256(f"{feed}\0{own}".encode("utf-8", "replace")).hexdigest()[:32],
        "title": title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…",
        "content": content,
        "path": link if _can_be_opened(link) else None,
        "kind": "article",
        "author": _author(entry),
        "tags": [label for tag in tags if (label := _line(tag)[:ID_LENGTH].strip())][:MAX_LABELS],
        "created_at": _time(entry),
    }


def _title(entry: Any) -> str:
    given = entry.get("title", "")
    is_plain = entry.get("title_detail", {}).get("type") == "text/plain"
    return _line(given if is_plain else from_html(given))


def _content(entry: Any) -> str:
    """Return the full text, else the summary, as HTML that may stand on anybody's page."""
    given = next((each for each in entry.get("content", ()) if each.get("value")), None)
    given = given or entry.get("summary_detail") or {}
    value = given.get("value") or ""
    if given.get("type") == "text/plain":
        value = html.escape(value, quote=False)
    clean = nh3.clean(value, url_schemes=_URL_SCHEMES).strip()
    # It begins with a tag, so that nobody takes it for Markdown.
    return clean if not clean or _TAG.match(clean) else f"<div>{clean}</div>"


def _author(entry: Any) -> str | None:
    detail = entry.get("author_detail", {})
    name = _line(detail.get("name") or entry.get("author") or "")
    return name[:ID_LENGTH].strip() or None


def _time(entry: Any) -> datetime | None:
    for name in ("published_parsed", "updated_parsed"):
        # As of a dictionary: feedparser's own access warns, and gives one time for the other.
        at = dict.get(entry, name)
        try:
            if at is not None:
                return datetime(at[0], at[1], at[2], at[3], at[4], at[5], tzinfo=UTC)
        except ValueError:
            continue
    return None


def _line(text: str) -> str:
    return " ".join(text.split())


def _can_be_opened(link: str) -> bool:
    return is_web(link) and len(link) <= MAX_PATH and urlsplit(link).hostname is not None
