"""Attachments: the files that belong to a K-Block, such as an episode of a podcast.

They are a list of links at the end of its content, in elements of HTML that say what they are:

    <ul class="attachments"><li><a href="https://…/1.mp3" type="audio/mpeg">Episode 1</a>
    (audio/mpeg, <data value="24300000">24.3 MB</data>, <time datetime="PT2530S">42:10</time>)</li>
    </ul>

Importers write it; pages and REST read it. Programs that do not know of it show links.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from harken.domain.fields import whole_number
from harken.services.kblocks.html_parser import TolerantHTMLParser

MOST_ATTACHMENTS = 20
BEGIN, END = '<ul class="attachments">', "</ul>"
_UNITS = (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000))
_WEB = ("http://", "https://")


class Attachment(NamedTuple):
    """A file on the web; the size and the duration are what its publisher says of them."""

    url: str
    title: str = ""
    media_type: str = ""
    size_bytes: int | None = None
    seconds: int | None = None

    @property
    def facts(self) -> list[str]:
        """What is known of the file, in words: its type, its size and its duration."""
        size = "" if self.size_bytes is None else size_in_words(self.size_bytes)
        duration = "" if self.seconds is None else clock_time(self.seconds)
        return [each for each in (self.media_type, size, duration) if each]

    @property
    def is_played(self) -> bool:
        """Whether it is audio or video, as far as its type says."""
        return self.media_type.partition("/")[0] in {"audio", "video"}


def size_in_words(count: int) -> str:
    """Return a number of bytes in its largest unit.

    >>> size_in_words(24_300_000), size_in_words(999)
    ('24.3 MB', '999 bytes')
    """
    for unit, size in _UNITS:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def clock_time(seconds: int) -> str:
    """Return a duration as players show it.

    >>> clock_time(2_530), clock_time(3_723)
    ('42:10', '1:02:03')
    """
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def as_html(files: Sequence[Attachment]) -> str:
    """Return the list of attachments for the end of a content; empty for none."""
    if not files:
        return ""
    return BEGIN + "".join(_item(each) for each in files[:MOST_ATTACHMENTS]) + END


def _item(file: Attachment) -> str:
    kind = f' type="{escape(file.media_type)}"' if file.media_type else ""
    facts = [escape(file.media_type)] if file.media_type else []
    if file.size_bytes is not None:
        facts.append(f'<data value="{file.size_bytes}">{size_in_words(file.size_bytes)}</data>')
    if file.seconds is not None:
        shown = clock_time(file.seconds)
        facts.append(f'<time datetime="PT{file.seconds}S">{shown}</time>')
    link = f'<a href="{escape(file.url)}"{kind}>{escape(file.title or file.url)}</a>'
    known = f" ({', '.join(facts)})" if facts else ""
    return f"<li>{link}{known}</li>"


def split(content: str) -> tuple[str, list[Attachment]]:
    """Return a content without its list of attachments, and the attachments."""
    if not content.endswith(END) or (at := content.rfind(BEGIN)) < 0:
        return content, []
    reader = _Reader()
    reader.feed(content[at + len(BEGIN) :])
    reader.close()
    return content[:at].rstrip(), reader.found[:MOST_ATTACHMENTS]


class _Reader(TolerantHTMLParser):
    """Reads a list of attachments; what is no link to the web is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Attachment] = []
        self._is_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and given.get("href", "").lower().startswith(_WEB):
            self._is_title = True
            self.found.append(Attachment(given["href"], media_type=given.get("type", "")))
        elif tag == "data" and self.found:
            size = whole_number(given.get("value", ""))
            self.found[-1] = self.found[-1]._replace(size_bytes=size)
        elif tag == "time" and self.found:
            seconds = whole_number(given.get("datetime", "").removeprefix("PT")[:-1])
            self.found[-1] = self.found[-1]._replace(seconds=seconds)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._is_title = False

    def handle_data(self, data: str) -> None:
        if self._is_title:
            self.found[-1] = self.found[-1]._replace(title=self.found[-1].title + data)
