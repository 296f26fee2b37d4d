"""Lists of feeds as OPML: reading one that somebody uploads, and writing that of all sources."""

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple
from xml.etree import ElementTree as ET  # nosec B405
from xml.parsers import expat

from harken.domain.kblock import MAX_TITLE
from harken.errors import InvalidInput, Problem
from harken.services.kblocks.importers.opml import MOST_FEEDS
from harken.services.kblocks.importers.syndication.documents import Kind, prepared
from harken.services.kblocks.importers.syndication.entries import line
from harken.services.kblocks.importers.syndication.fetching import Document
from harken.services.kblocks.web_addresses import is_web, without_secrets
from harken.services.sources.subscription import Subscription

LONGEST_URL = 2_000


class Outline(NamedTuple):
    """A feed that a list names."""

    url: str
    title: str = ""
    site_url: str | None = None


class Outlines(NamedTuple):
    """The feeds of a list, each once, and what was left out, in words."""

    feeds: list[Outline]
    left_out: list[str]


def read_opml(content: bytes) -> Outlines:
    """Return the feeds that an OPML document names; raises InvalidInput."""
    try:
        document = prepared(Document(content))
    except InvalidInput as error:
        raise InvalidInput(Problem("opml", _words(error))) from None
    if document.kind is not Kind.OPML:
        raise InvalidInput(Problem("opml", "must be a list of feeds (OPML); this is a feed"))
    found: dict[str, Outline] = {}
    left_out: list[str] = []

    def start(_name: str, attributes: dict[str, str]) -> None:
        given = {name.lower(): line(value) for name, value in attributes.items()}
        url = given.get("xmlurl", "")
        if not url:
            return
        url = f"http:{url[5:]}" if url.lower().startswith("feed://") else url
        if not is_web(url) or len(url) > LONGEST_URL:
            left_out.append(f"{url[:200]}: must be an address of http or https")
            return
        site = given.get("htmlurl", "")
        title = given.get("title") or given.get("text") or ""
        outline = Outline(url, title[:MAX_TITLE], site if is_web(site) else None)
        found.setdefault(url, outline)

    parser = expat.ParserCreate(encoding="utf-8")
    parser.StartElementHandler = start
    try:
        parser.Parse(document.content, True)
    except expat.ExpatError as error:
        left_out.append(f"the list is not well-formed XML: {error}; what follows is not read")
    if len(found) > MOST_FEEDS:
        left_out.append(f"it names {len(found)} feeds; the first {MOST_FEEDS} are read")
    return Outlines([*found.values()][:MOST_FEEDS], left_out)


def write_opml(sources: Iterable[Subscription]) -> bytes:
    """Return an OPML 2.0 document of sources; passwords in their addresses are left out."""
    # ElementTree only writes here: what somebody uploads is read by `read_opml`.
    root = ET.Element("opml", version="2.0")
    head = ET.SubElement(root, "head")
    ET.SubElement(head, "title").text = "Sources of Harken"
    ET.SubElement(head, "dateCreated").text = format_datetime(datetime.now(UTC))
    body = ET.SubElement(root, "body")
    for each in sources:
        fields = {
            "type": "rss",
            "text": line(each.shown_title),
            "title": line(each.shown_title),
            "xmlUrl": without_secrets(each.url),
            "htmlUrl": each.site_url,
        }
        known = {name: value for name, value in fields.items() if value}
        ET.SubElement(body, "outline", known)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _words(error: InvalidInput) -> str:
    return "; ".join(problem.message for problem in error.problems)
