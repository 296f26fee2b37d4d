"""Parsing of JSON Feed, versions 1.0 and 1.1 (jsonfeed.org)."""

import html
import json
from collections.abc import Iterator
from typing import Any

from harken.errors import InvalidInput, Problem
from harken.services.kblocks.attachments import Attachment
from harken.services.kblocks.importers.syndication.documents import Prepared
from harken.services.kblocks.importers.syndication.enclosures import (
    read_seconds,
    read_size,
    usable,
)
from harken.services.kblocks.importers.syndication.entries import Entry, FeedHead, ParsedFeed, line
from harken.services.kblocks.web_addresses import is_web, resolve

_VERSION = "jsonfeed.org/version/"
MOST_WHOLE = 2**53
"""Beyond it, not every whole number is a float."""


def parse_json(document: Prepared) -> ParsedFeed:
    """Parse a JSON Feed; raises InvalidInput. An item that is not an object is an empty entry."""
    try:
        feed = json.loads(document.content)
    except RecursionError:
        raise InvalidInput(Problem("", "is nested too deeply")) from None
    except ValueError as error:
        raise InvalidInput(Problem("", f"must be a feed; as a JSON Feed: {error}")) from None
    if not isinstance(feed, dict) or _VERSION not in line(feed.get("version")):
        raise InvalidInput(
            Problem("", "must be a feed; a JSON Feed has a version: https://jsonfeed.org/version/1")
        )
    items = feed.get("items")
    if not isinstance(items, list):
        raise InvalidInput(Problem("", "items: must be a list of the feed's items"))
    base = document.url or ""
    home = resolve(base, line(feed.get("home_page_url")))
    own = resolve(base, line(feed.get("feed_url")))
    head = FeedHead(
        title=line(feed.get("title")),
        link=home if is_web(home) else "",
        self_link=own if is_web(own) else "",
        raw_link=home,
    )
    feed_author = next(_names(feed), "") or head.title
    entries = [
        _entry(item if isinstance(item, dict) else {}, head.link or base, feed_author)
        for item in items
    ]
    return ParsedFeed(head, entries)


def _number(value: Any) -> str:
    """Return a number as text, such as a size, or a date in seconds since 1970."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value)) if abs(value) < MOST_WHOLE else str(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else line(value)


def _entry(item: dict[str, Any], base: str, feed_author: str) -> Entry:
    link = line(item.get("url")) or line(item.get("external_url"))
    files = (each for each in _list(item, "attachments") if isinstance(each, dict))
    dates = (_number(item.get(name)) for name in ("date_published", "date_modified"))
    return Entry(
        guid=_id(item.get("id")),
        link=resolve(base, link) if link else "",
        title=line(item.get("title")),
        html=_content(item),
        base=base,
        author=next(_names(item), "") or feed_author,
        tags=tuple(dict.fromkeys(tag for each in _list(item, "tags") if (tag := line(each)))),
        dates=tuple(date for date in dates if date),
        enclosures=usable(
            Attachment(
                resolve(base, line(each.get("url"))),
                line(each.get("title")),
                line(each.get("mime_type")),
                read_size(_number(each.get("size_in_bytes"))),
                read_seconds(_number(each.get("duration_in_seconds"))),
            )
            for each in files
        ),
    )


def _id(value: Any) -> str:
    # "If an id is presented as a number, a JSON Feed reader should coerce it to a string."
    if isinstance(value, int | float) and not isinstance(value, bool):
        return line(json.dumps(value))
    return line(value)


def _content(item: dict[str, Any]) -> str:
    for name in ("content_html", "content_text", "summary"):
        text = item.get(name)
        if isinstance(text, str) and text.strip():
            if name == "content_html":
                return text
            return html.escape(text, quote=False).replace("\n", "<br>\n")
    return ""


def _names(item: dict[str, Any]) -> Iterator[str]:
    for author in (*_list(item, "authors"), item.get("author")):
        if isinstance(author, dict) and (name := line(author.get("name"))):
            yield name


def _list(item: dict[str, Any], name: str) -> list[Any]:
    value = item.get(name)
    return value if isinstance(value, list) else []
