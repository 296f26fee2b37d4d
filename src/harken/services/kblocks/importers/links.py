"""Titles and links of notes, and the resolution of names to notes."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererProtocol
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from harken.services.kblocks.importers.folders import normal
from harken.services.kblocks.text import count_marks, inline_text, markdown

_FIRST_LINE_TITLE = re.compile(r"\s*\n {0,3}#[ \t]+(\S[^\n]*)")
# Possessive, and only where a run of spaces begins, so that the time goes with the length.
_CLOSING = re.compile(r"(?<![ \t])[ \t]++#*+[ \t\r]*+$")
_MAY_HAVE_HEADING = re.compile(r"#|^ {0,3}[=-]", re.MULTILINE)
_WIKILINK = re.compile(r"\[\[([^\[\]\n]+)\]\]")
# No part can match what the next begins with, so that the time goes with the length.
_LOOKS_LIKE_A_LINK = re.compile(
    r"\[\[(?P<name>[^\[\]\n]+)\]\]|\]\((?P<address>[^\s()<>\[\]]+)[\s)]"
)
# Marks of a paragraph, and of a note: those of a megabyte would take minutes.
_PARSED_MARKS = 1_000
_PARSED_MARKS_OF_ALL = 50_000
# Longer headings are cut to a title anyway, and parsing may take the square of their length.
_HEADING = 2_000
# Titles are searched in the first characters only: parsing a megabyte takes seconds.
_TITLE_WITHIN = 64 * 1024
# A parser of blocks is enough to find headings.
_blocks = MarkdownIt("commonmark").enable("table").disable("inline")


def _wikilink(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 — the parser's signature
    found = _WIKILINK.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.push("wikilink", "", 0).content = found[1]
    state.pos = found.end()
    return True


def _render_wikilink(
    _renderer: RendererProtocol, tokens: Sequence[Token], index: int, *_more: Any
) -> str:
    name, _, label = tokens[index].content.partition("|")
    return f'<a href="{WIKI}:{quote(name)}">{escapeHtml(label.strip())}</a>'


WIKI = "wiki"
linked = MarkdownIt("commonmark").enable(["table", "strikethrough"])
"""A parser of Markdown with links in double brackets.

Such a link is rendered with the scheme WIKI and the text after `|`.
"""
linked.inline.ruler.before("link", "wikilink", _wikilink)
linked.add_render_rule("wikilink", _render_wikilink)


def title_of(content: str) -> str | None:
    """Return the text of the first heading of level 1, else of the first heading; None if none."""
    if begins := _FIRST_LINE_TITLE.match("\n" + content):
        # The usual case, at a hundredth of the cost of parsing.
        return _plain(_CLOSING.sub("", begins[1])) or None
    beginning = content[:_TITLE_WITHIN]
    if not _MAY_HAVE_HEADING.search(beginning):
        return None
    first: str | None = None
    tokens = _blocks.parse(beginning)
    for token, following in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and (text := _plain(following)):
            if token.tag == "h1":
                return text
            first = first or text
    return first


def _plain(heading: str | Token) -> str:
    source = (heading if isinstance(heading, str) else heading.content)[:_HEADING]
    return " ".join(inline_text(markdown().parseInline(source)[0]).split())


class Link(NamedTuple):
    """A link as written: a name in double brackets, or an address."""

    target: str
    is_name: bool


def links_of(content: str) -> Iterator[Link]:
    """Yield the links of a note, except those in code.

    Where a paragraph or the note has too many marks, everything that looks like a link counts.
    """
    if "[" not in content:
        return
    env: dict[str, Any] = {}  # the addresses that are defined once for several links
    of_all = 0
    for block in _blocks.parse(content, env):
        if block.type != "inline" or "[" not in block.content:
            continue
        marks = count_marks(block.content)
        of_all += marks
        if marks > _PARSED_MARKS or of_all > _PARSED_MARKS_OF_ALL:
            yield from _look_alikes(block.content)
            continue
        tokens: list[Token] = []
        linked.inline.parse(block.content, linked, env, tokens)
        for token in tokens:
            if token.type == "wikilink":
                yield Link(token.content, is_name=True)
            elif token.type == "link_open":
                yield Link(str(token.attrGet("href") or ""), is_name=False)


def _look_alikes(paragraph: str) -> Iterator[Link]:
    for found in _LOOKS_LIKE_A_LINK.finditer(paragraph):
        yield Link(found["name"] or found["address"], is_name=bool(found["name"]))


class _Named(NamedTuple):
    path: str
    id: str


class Names:
    """An index of the notes of a vault by path, file name, title and alias, ignoring case."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._paths: defaultdict[str, list[_Named]] = defaultdict(list)
        self._stems: defaultdict[str, list[_Named]] = defaultdict(list)
        self._titles: defaultdict[str, list[_Named]] = defaultdict(list)
        self._aliases: defaultdict[str, list[_Named]] = defaultdict(list)

    def add(self, path: str, kblock_id: str, title: str | None) -> None:
        """Add a note."""
        named = _Named(path, kblock_id)
        self._ids.add(kblock_id)
        for each in (path, posixpath.splitext(path)[0]):
            self._paths[each.casefold()].append(named)
            self._stems[posixpath.basename(each).casefold()].append(named)
        if title:
            self._titles[_key(title)].append(named)

    def add_aliases(self, path: str, kblock_id: str, names: Iterable[str]) -> None:
        """Add the aliases of a note; names and titles take precedence over aliases."""
        for name in names:
            self._aliases[_key(name)].append(_Named(path, kblock_id))

    def by_id(self, name: str, path: str) -> str | None:
        """Return the id of the note that an id, path or name in the note at `path` refers to."""
        return name if name in self._ids else self.by_name(name, path)

    def by_link(self, link: Link, path: str) -> str | None:
        """Return the id of the note that a link in the note at `path` refers to."""
        return (self.by_name if link.is_name else self._by_address)(link.target, path)

    def by_name(self, name: str, path: str) -> str | None:
        """Return the id of the note with this path, file name, title or alias."""
        name = normal(name.partition("|")[0]).strip()
        for each in dict.fromkeys((name, name.partition("#")[0].strip())):
            if each and (found := self._named(each, path)):
                return found
        return None

    def _named(self, name: str, path: str) -> str | None:
        key = _key(name)
        candidates = [self._stems.get(name.casefold()), self._titles.get(key)]
        candidates.append(self._aliases.get(key))
        if "/" in name:
            paths = (posixpath.normpath(name), _relative_to(path, name))
            candidates[:0] = [self._paths.get(each.casefold()) for each in paths]
        return next((_nearest(found, name, path) for found in candidates if found), None)

    def _by_address(self, address: str, path: str) -> str | None:
        try:
            parts = urlsplit(address)
        except ValueError:
            return None
        if parts.scheme or parts.netloc or not parts.path:
            return None
        target = normal(unquote(parts.path))
        wanted = target.lstrip("/") if target.startswith("/") else _relative_to(path, target)
        found = self._paths.get(posixpath.normpath(wanted).casefold())
        return _nearest(found, wanted, path) if found else None


def _relative_to(path: str, name: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), name))


def _key(title: str) -> str:
    return " ".join(normal(title).split()).casefold()


def _nearest(candidates: list[_Named], name: str, path: str) -> str:
    """Choose among notes of one name: the same case, then the same folder, then least depth."""
    own = posixpath.dirname(path)

    def rank(named: _Named) -> tuple[bool, bool, int, str]:
        stem = posixpath.splitext(named.path)[0]
        return (
            not (stem.endswith(name) or named.path.endswith(name)),
            posixpath.dirname(named.path) != own,
            named.path.count("/"),
            named.path,
        )

    return min(candidates, key=rank).id
