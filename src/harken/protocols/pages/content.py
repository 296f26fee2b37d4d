"""Rendering of K-Block content, Markdown or HTML, as safe HTML.

Markdown or HTML ─▶ sanitised ─▶ adapted: headings, links, pictures, tables ─▶ sanitised again

The first sanitising makes the HTML well-formed for the adapter; the second makes its output safe.
Pictures become links and are never loaded, because their host would learn who reads what; or, if
the server shows images, elements whose address is a placeholder, see `images.shown`.
"""

import re
from collections.abc import Callable
from html import escape, unescape
from typing import NamedTuple, NotRequired, TypedDict
from urllib.parse import quote, unquote, urlsplit

import nh3

from harken.services.kblocks.html_parser import TolerantHTMLParser
from harken.services.kblocks.importers.links import WIKI, Link, Names, linked
from harken.services.kblocks.text import is_html
from harken.services.kblocks.web_addresses import resolve

_SCHEMES = {"http", "https", "mailto"}
_TAGS = {
    "a", "abbr", "b", "blockquote", "br", "cite", "code", "dd", "del", "details", "div", "dl",
    "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "ins",
    "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strong", "sub",
    "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul", "var",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href"}, "abbr": {"title"}, "ol": {"start"}, "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}  # fmt: skip
_ALIGNED = re.compile(r"text-align:\s*(center|right)")
# Headings of the content are one or two levels below the title of the page or card.
_IMAGE = {"alt", "decoding", "height", "loading", "referrerpolicy", "src", "width"}
_SIZE = re.compile(r"[0-9]{1,4}")
_OF_A_PIXEL = {"0", "1"}
_HEADINGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}
_TOO_COMPLEX = "This note is too complex to be formatted. This is its source text."
_TABLE = '<div class="scroll" role="group" tabindex="0" aria-label="Table"><table>'


class Note(NamedTuple):
    """The page of another K-Block, as the target of a link."""

    address: str
    title: str


FindNote = Callable[[Link], Note | None]


class Known(TypedDict):
    """A K-Block that the content may link to."""

    id: str
    path: str | None
    title: str
    address: str


class Source(TypedDict):
    """The input of rendering: the HTML depends on nothing else."""

    id: str
    path: str | None
    title: str
    content: str
    known: list[Known]
    images: NotRequired[str]  # the placeholder of images; without one, pictures are links


MOST_HTML = 8 << 20
LONGEST_URL = 2_000
"""Images at longer addresses stay links."""


def render(source: Source) -> str:
    """Return the content of a K-Block as safe HTML, with links to the K-Blocks in `known`."""
    names, notes = Names(), {}
    for known in source["known"]:
        names.add(known["path"] or known["id"], known["id"], known["title"])
        notes[known["id"]] = Note(known["address"], known["title"])
    place = source["path"] or source["id"]

    def find(link: Link) -> Note | None:
        found = names.by_link(link, place)
        return notes[found] if found in notes else notes.get(link.target)

    images = source.get("images", "")
    return as_html(source["content"], source["title"], source["path"], find, images)


def as_plain(content: str) -> str:
    """Return HTML that shows the source text of the content, and explains why."""
    return f'<p class="muted">{_TOO_COMPLEX}</p><pre class="as-written">{escape(content)}</pre>'


def as_html(
    content: str, title: str, path: str | None, find_note: FindNote, images: str = ""
) -> str:
    """Return the content as HTML without scripts, styles or other loaded resources.

    A picture becomes a link to it. With `images`, it is loaded from this placeholder, which its
    quoted address follows.

    Malicious content may take minutes; `note_rendering` limits the time. A first heading that
    repeats the title is removed. Links to K-Blocks open in the same tab, links to the web in a new
    one. `path` is the base of relative links, if it is a URL.
    """
    source = content if is_html(content) else linked.render(content)
    cleaned = nh3.clean(
        source,
        tags=_TAGS | {"img"},
        attributes={
            **_ATTRIBUTES,
            "img": {"alt", "height", "src", "width"},
            "td": {"colspan", "rowspan", "style"},
            "th": {"colspan", "rowspan", "style"},
        },
        filter_style_properties={"text-align"},
        url_schemes=_SCHEMES | {WIKI},
        link_rel=None,
    )
    adapter = _Adapter(title, path or "", find_note, images)
    adapter.feed(cleaned)
    adapter.close()
    return nh3.clean(
        "".join(adapter.parts),
        tags=_TAGS | {"img"} if images else _TAGS,
        attributes={
            **_ATTRIBUTES,
            "a": {"href", "target"},
            "div": {"role", "tabindex", "aria-label"},
            "img": _IMAGE,
        },
        allowed_classes={
            "a": {"elsewhere", "note", "picture"},
            "div": {"scroll"},
            "td": {"center", "right"},
            "th": {"center", "right"},
        },
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )


class _Adapter(TolerantHTMLParser):
    """Rewrites sanitised HTML; `parts` is the output."""

    def __init__(self, title: str, path: str, find_note: FindNote, images: str) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self._title = _words(title)
        self._base = path if is_on_the_web(path) else ""
        self._find_note = find_note
        self._images = images
        self._link_end: str | None = None  # the end tag of the open link, if any
        self._link_began = 0
        self._label = ""
        self._has_words = False  # other than those of a removed heading
        self._heading: int | None = None  # where the open first heading begins in `parts`
        self._heading_text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        match tag:
            case "a":
                self._begin_link(given.get("href", ""))
            case "img":
                self._picture(given)
            case "table":
                self.parts.append(_TABLE)
            case "td" | "th":
                self._cell(tag, given)
            case "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
                if not self._has_words:
                    self._heading, self._heading_text = len(self.parts), []
                self.parts.append(f"<{_HEADINGS[tag]}>")
            case _:
                self.parts.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._end_link()
        elif tag == "table":
            self.parts.append("</table></div>")
        elif tag in _HEADINGS:
            self._end_heading(_HEADINGS[tag])
        else:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self._has_words = self._has_words or not data.isspace()
        if self._heading is not None:
            self._heading_text.append(data)
        self.parts.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")

    def _begin_link(self, href: str) -> None:
        if href.startswith(f"{WIKI}:"):
            name = unquote(href.removeprefix(f"{WIKI}:"))
            note = self._find_note(Link(name, is_name=True))
            self._begin(note and _note_link(note), note.title if note else name)
            return
        address = resolve(self._base, href) if self._base else href
        if _scheme(address) in _SCHEMES:
            self._begin(_external_link(address))
        else:
            note = self._find_note(Link(href, is_name=False))
            self._begin(note and _note_link(note))

    def _begin(self, start: str | None, label: str = "") -> None:
        """Begin a link; without a start tag, its text stays plain text.

        The label is the text of a link that has none.
        """
        self._link_end = "</a>" if start else ""
        self._label = label
        self.parts.append(start or "")
        self._link_began = len(self.parts)

    def _end_link(self) -> None:
        if len(self.parts) == self._link_began:
            self.handle_data(escape(self._label))
        self.parts.append(self._link_end or "")
        self._link_end = None

    def _picture(self, given: dict[str, str]) -> None:
        address, alt = given.get("src", ""), given.get("alt", "")
        words = f"[Picture: {alt}]" if alt else "[Picture]"
        address = resolve(self._base, address) if self._base else address
        if self._images and is_on_the_web(address) and len(address) <= LONGEST_URL:
            self._image(address, given)
        elif _scheme(address) in _SCHEMES and not self._link_end:
            self.parts.append(f"{_external_link(address)}{escape(words)}</a>")
        else:
            self.parts.append(escape(words))

    def _image(self, address: str, given: dict[str, str]) -> None:
        """Show an image, in a link to where it is; one of a pixel only counts who reads."""
        if not _OF_A_PIXEL.isdisjoint({given.get("width"), given.get("height")}):
            return
        shown = {
            "alt": given.get("alt", "").strip() or "Picture",
            "loading": "lazy",
            "decoding": "async",
            "referrerpolicy": "no-referrer",
            **{name: given[name] for name in ("width", "height") if _is_size(given.get(name))},
            "src": self._images + quote(address, safe=""),
        }
        image = "<img" + "".join(f' {name}="{escape(value)}"' for name, value in shown.items())
        if self._link_end:
            self.parts.append(f"{image}>")
        else:
            link = _external_link(address).replace("elsewhere", "elsewhere picture", 1)
            self.parts.append(f"{link}{image}></a>")

    def _cell(self, tag: str, given: dict[str, str]) -> None:
        aligned = _ALIGNED.search(given.pop("style", ""))
        if aligned:
            given["class"] = aligned[1]
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in given.items())
        self.parts.append(f"<{tag}{attributes}>")

    def _end_heading(self, tag: str) -> None:
        text = "".join(self._heading_text)
        if self._heading is not None and _words(unescape(text)) == self._title:
            del self.parts[self._heading :]
            self._has_words = False
        else:
            self.parts.append(f"</{tag}>")
        self._heading, self._heading_text = None, []


def _is_size(value: str | None) -> bool:
    return value is not None and _SIZE.fullmatch(value) is not None


def _words(text: str) -> str:
    return " ".join(text.split()).casefold()


def _note_link(note: Note) -> str:
    return f'<a class="note" href="{escape(note.address)}">'


def _external_link(address: str) -> str:
    return f'<a class="elsewhere" target="_blank" href="{escape(address)}">'


def is_on_the_web(address: str | None) -> bool:
    """Return whether a path is an HTTP or HTTPS URL."""
    return _scheme(address or "") in {"http", "https"}


def _scheme(address: str) -> str:
    try:
        return urlsplit(address).scheme
    except ValueError:
        return ""
