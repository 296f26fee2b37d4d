"""Plain text and previews from the content of K-Blocks."""

import html
import re
from functools import cache
from typing import TYPE_CHECKING

import nh3

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

PREVIEW_LENGTH = 280
# A preview needs only the first characters, and parsing a megabyte takes a second.
_PARSED = 4_000
_SPACE = re.compile(r"\s+")
_HTML = re.compile(r"\s*<[a-zA-Z!]")

# Characters with a meaning in Markdown. Parsing time may grow with the square of their number.
_MARKS = "[]!*_`<>&\\~|\n"
_PARSED_MARKS = 800
_MOST_CELLS = 5_000


@cache
def markdown() -> "MarkdownIt":
    """Return the parser of Markdown; it is imported when it is first used."""
    from markdown_it import MarkdownIt  # noqa: PLC0415

    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def preview(content: str, length: int = PREVIEW_LENGTH) -> str:
    """Return the beginning of Markdown or HTML as plain text, at most `length` characters.

    Headings of the first level are left out: they repeat the title.
    """
    beginning = content[:_PARSED]
    if is_html(beginning):
        text = from_html(beginning)
    elif is_simple(beginning, _PARSED_MARKS):
        text = _from_markdown(beginning)
    else:
        text = _joined([beginning])
    if len(text) <= length:
        return text
    cut = text[: length - 1].rsplit(" ", 1)[0] if " " in text[: length - 1] else text[: length - 1]
    return cut.rstrip(" ,;:.") + "…"


def is_simple(content: str, marks: int) -> bool:
    """Whether content has at most `marks` special characters, and no huge table.

    Then the time to parse it is linear in its length.
    """
    if count_marks(content) > marks:
        return False
    # Each row of a table gets as many cells as its first row, even if it is shorter.
    widest = max(line.count("|") for line in content.split("\n"))
    return widest * content.count("\n") <= _MOST_CELLS


def count_marks(content: str) -> int:
    """Return how many characters of content may have a meaning to Markdown."""
    return sum(map(content.count, _MARKS))


def is_html(content: str) -> bool:
    """Whether content is HTML; otherwise it is Markdown."""
    return _HTML.match(content) is not None


def from_html(source: str) -> str:
    """Return HTML without its tags, scripts and styles, on one line."""
    spaced = re.sub(r"<(?=/?(?:p|div|br|li|h\d|tr|td)\b)", " <", source, flags=re.IGNORECASE)
    return _joined([html.unescape(nh3.clean(spaced, tags=set()))])


def _from_markdown(source: str) -> str:
    words: list[str] = []
    is_title = False
    for token in markdown().parse(source):
        if token.type == "heading_open":
            is_title = token.tag == "h1"
        elif token.type in {"fence", "code_block"}:
            words.append(token.content)
        elif token.type == "inline" and not is_title:
            words.append(inline_text(token))
        elif token.type == "heading_close":
            is_title = False
    return _joined(words)


def inline_text(token: "Token") -> str:
    """Return the plain text of an inline token of Markdown."""
    return "".join(
        " " if child.type in {"softbreak", "hardbreak"} else child.content
        for child in token.children or []
        if child.type in {"text", "code_inline", "softbreak", "hardbreak", "image"}
    )


def _joined(parts: list[str]) -> str:
    return _SPACE.sub(" ", " ".join(parts)).strip()
