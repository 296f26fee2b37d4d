"""Import of articles from feeds: RSS, Atom and JSON Feed."""

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nh3

from harken.domain.fields import ID_LENGTH
from harken.domain.kblock import MAX_LABELS, MAX_PATH, MAX_TITLE, KBlock
from harken.errors import InvalidInput, Problem
from harken.services.kblocks.attachments import Attachment, as_html
from harken.services.kblocks.importers.opml import FeedLocation, feed_locations
from harken.services.kblocks.importers.run import ImportFailure, ImportItem, source_name
from harken.services.kblocks.importers.syndication.dates import read_date
from harken.services.kblocks.importers.syndication.documents import Kind, Prepared
from harken.services.kblocks.importers.syndication.entries import (
    Entry,
    FeedHead,
    ParsedFeed,
    file_name,
    nests_deeper,
    parse_xml,
)
from harken.services.kblocks.importers.syndication.fetching import Fetcher
from harken.services.kblocks.importers.syndication.identity import identities
from harken.services.kblocks.importers.syndication.json_feed import parse_json
from harken.services.kblocks.text import preview
from harken.services.kblocks.web_addresses import is_web, resolve

MOST_REMARKS = 20
MOST_TITLE_OF_FILE = 200
MOST_NESTED = 2_000
# The distance between entries without a date: the first entry of a feed is the newest.
STEP = timedelta(milliseconds=1)

_TAG = re.compile(r"\s*<[a-zA-Z]")
_URL_SCHEMES = {"http", "https", "mailto"}


def feeds(location: str | Path, fetcher: Fetcher | None = None) -> Iterator["Feed"]:
    """Yield the feeds of a file, a folder, an OPML file or a URL.

    Files and URLs are read to find out whether they are OPML, which may take a while. Raises
    InvalidInput if a path does not exist.
    """
    for each in feed_locations(str(location), fetcher or Fetcher()):
        yield Feed(each)


class Feed:
    """The articles of one feed. Articles that the feed no longer contains stay in the store."""

    is_whole = False

    def __init__(self, location: FeedLocation | ImportFailure) -> None:
        """Take the location of a feed, or the failure to find it, which iterating yields."""
        self._location = location
        where = location.where if isinstance(location, ImportFailure) else location.name
        self._where = where
        self.name = source_name("rss", where if is_web(where) else Path(where).name)
        self.done = 0
        self.total: int | None = None
        self.remarks: list[str] = []
        self.head: FeedHead | None = None
        """What the feed says of itself, once it is read."""
        self._unsaid = 0

    def __iter__(self) -> Iterator[ImportItem | ImportFailure]:
        """Read the articles, in the feed's order."""
        if isinstance(self._location, ImportFailure):
            yield self._location
            return
        try:
            document = self._location.load()
            parsed = _parsed(document)
        except InvalidInput as error:
            yield ImportFailure(self._where, str(error))
            return
        for remark in document.remarks:
            self._remark(self._where, remark)
        self.head, self.total = parsed.head, len(parsed.entries)
        if parsed.broken:
            yield ImportFailure(self._where, parsed.broken)
        yield from self._articles(self._location, parsed)
        if self._unsaid:
            self.remarks.append(f"{self._where}: … and {self._unsaid} more remarks")

    def _articles(
        self, location: FeedLocation, parsed: ParsedFeed
    ) -> Iterator[ImportItem | ImportFailure]:
        ids = identities(
            parsed.head,
            parsed.entries,
            url=location.url,
            path="" if location.url else str(Path(location.name).resolve()),
            name=self.name,
        )
        now = datetime.now(UTC)
        for number, (entry, (name, identity)) in enumerate(
            zip(parsed.entries, ids, strict=True), 1
        ):
            self.done = number
            where = f"{self._where}, entry {number}"
            try:
                kblock = self._article(where, name, entry)
            except InvalidInput as error:
                yield ImportFailure(where, str(error))
            else:
                yield ImportItem(where, kblock, arrived=now - number * STEP, identity=identity)

    def _article(self, where: str, name: str, entry: Entry) -> KBlock:
        content = _content(entry)
        title = entry.title or preview(content, 80) or entry.link or entry.guid
        if not title:
            raise InvalidInput(Problem("", "has no title, no text and no link; one is needed"))
        if len(entry.link) > MAX_PATH:
            self._remark(where, f"its link has more than {MAX_PATH} characters and is left out")
        return KBlock.parse(
            {
                "id": name,
                "title": title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1]}…",
                "content": content,
                "path": entry.link if _can_be_opened(entry.link) else None,
                "kind": "article",
                "author": self._label(where, "author", entry.author),
                "tags": self._tags(where, entry),
                "created_at": self._time(where, entry),
            }
        )

    def _tags(self, where: str, entry: Entry) -> list[str]:
        if len(entry.tags) > MAX_LABELS:
            self._remark(where, f"has {len(entry.tags)} tags; the first {MAX_LABELS} are kept")
        cut = (self._label(where, "tag", tag) for tag in entry.tags[:MAX_LABELS])
        return [tag for tag in cut if tag]

    def _label(self, where: str, what: str, text: str) -> str | None:
        if len(text) > ID_LENGTH:
            self._remark(where, f"the {what} {text[:20]}… is cut to {ID_LENGTH} characters")
        return text[:ID_LENGTH].strip() or None

    def _time(self, where: str, entry: Entry) -> datetime | None:
        """Return the date of publication, else of the last change; None if there is neither."""
        for date in entry.dates:
            at, remark = read_date(date)
            if remark:
                self._remark(where, remark)
            if at is not None:
                return at
        return None

    def _remark(self, where: str, remark: str) -> None:
        if len(self.remarks) < MOST_REMARKS:
            self.remarks.append(f"{where}: {remark}")
        else:
            self._unsaid += 1


def _parsed(document: Prepared) -> ParsedFeed:
    if document.kind is Kind.OPML:
        raise InvalidInput(
            Problem("", "must be a feed; it is a list of feeds (OPML): import it by itself")
        )
    return parse_json(document) if document.kind is Kind.JSON else parse_xml(document)


def _content(entry: Entry) -> str:
    """Return the full text, else the summary, as sanitized HTML."""

    def absolute(url: str) -> str | None:
        full = resolve(entry.base, url)
        return full if is_web(full) else None

    if nests_deeper(entry.html, MOST_NESTED):
        raise InvalidInput(Problem("content", f"nests more than {MOST_NESTED} tags"))
    clean = nh3.clean(entry.html, url_schemes=_URL_SCHEMES, url_relative=absolute).strip()
    # HTML must begin with a tag, so that it is not read as Markdown.
    clean = clean if not clean or _TAG.match(clean) else f"<div>{clean}</div>"
    files = [
        _named(each)
        for each in entry.enclosures
        if each.is_played or html.escape(each.url) not in clean
    ]
    return "\n".join(part for part in (clean, as_html(files)) if part)


def _named(file: Attachment) -> Attachment:
    """Return an attachment with a short title, by default the name of its file."""
    title = file.title or file_name(file.url)
    return file._replace(title=title[:MOST_TITLE_OF_FILE], media_type=file.media_type[:ID_LENGTH])


def _can_be_opened(link: str) -> bool:
    return is_web(link) and len(link) <= MAX_PATH
