"""Words of a text, the same for both databases.

A word is a run of letters, digits and their marks. Case, accents and compatibility forms are
folded, so that `Café` and `CAFE` are one word. Writing without spaces (Chinese, Japanese, Thai,
Khmer, Lao, Burmese) is cut into overlapping pairs of characters, so that any part of two characters
or more can be found. Its last character is a word of its own, and a query for one character looks
for the words that begin with it. An emoji is a word.

The databases get words that are separated by spaces. They divide and fold nothing themselves.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

LONGEST_WORD = 64
"""Characters of a word; a longer one is cut, in texts and in queries."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1-\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06ed\u0711\u0730-\u074a\u0900-\u0963\u0966-\u0dff\u1ab0-\u1aff\u1dc0-\u1dff"
    "\u20d0-\u20f0"
)
_PICTURES = "\u2600-\u27bf\u2b50\u2b55\U0001f000-\U0001faff"
_RUNS = re.compile(
    rf"(?P<unspaced>[{_UNSPACED}]+)|(?P<picture>[{_PICTURES}])|(?:[^\W_{_UNSPACED}]|[{_MARKS}])+"
)
_ASCII_RUNS = re.compile(r"[a-z0-9]+")
_ACCENTS = re.compile("[\u0300-\u036f]")
# Letters that have no accent to take away, as PostgreSQL's `unaccent` writes them.
_LETTERS = str.maketrans(
    {
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ł": "l",
        "ħ": "h",
        "\u0131": "i",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
    }
)


class Word(NamedTuple):
    """A folded word, and the part of the text that it stands for."""

    text: str
    start: int
    end: int


def words(text: str) -> list[str]:
    """Return the folded words of a text, in their order."""
    if text.isascii():
        return [run[:LONGEST_WORD] for run in _ASCII_RUNS.findall(text.lower())]
    return [word.text for word in placed_words(text)]


def placed_words(text: str) -> Iterator[Word]:
    """Yield the folded words of a text with their places, in their order."""
    for run in _RUNS.finditer(text):
        if run.lastgroup == "unspaced":
            yield from _pairs(run[0], run.start())
        elif word := fold(run[0]):
            yield Word(word, run.start(), run.end())


def _pairs(run: str, start: int) -> Iterator[Word]:
    for place in range(len(run)):
        pair = run[place : place + 2]
        if word := _fold_unspaced(pair):
            yield Word(word, start + place, start + place + len(pair))


def is_unspaced(text: str) -> bool:
    """Tell whether a text ends with a character of a script that is written without spaces."""
    return re.search(f"[{_UNSPACED}]$", text) is not None


@lru_cache(32_768)
def fold(run: str) -> str:
    """Return a run of letters and digits without case, accents and compatibility forms.

    >>> fold("Straße"), fold("ÉTÉ"), fold("Łódź")
    ('strasse', 'ete', 'lodz')
    """
    if run.isascii():
        return run.lower()[:LONGEST_WORD]
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", run.casefold()))
    folded = unicodedata.normalize("NFC", plain).casefold().translate(_LETTERS)
    return "".join(filter(_is_part, folded))[:LONGEST_WORD]


@lru_cache(32_768)
def _fold_unspaced(pair: str) -> str:
    folded = unicodedata.normalize("NFKC", pair).casefold()
    return "".join(each for each in folded if not each.isascii() and not each.isspace())


def _is_part(character: str) -> bool:
    # ASCII characters that are neither letters nor digits divide words in both databases.
    if character.isalnum():
        return True
    return character > "\x7f" and unicodedata.category(character)[0] in "MS"


_TAGS = re.compile(r"<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]*+)[^<>]*+>|<!--|-->")
_TARGETS = re.compile(r"\]\([^()\s]{0,2000}\)")
_SIGNS = re.compile(r"[#>*_`~|\[\]]+")
_SPACE = re.compile(r"\s+")
_UNSEEN = {"script", "style"}


def plain(content: str, most: int) -> str:
    """Return the words that people see of Markdown or HTML, from its first `most` characters.

    The time is linear in the length, whatever the content is; the text is for searching and for
    snippets, and is not safe HTML.
    """
    parts = "".join(_outside_tags(content[:most]))
    text = html.unescape(_SIGNS.sub(" ", _TARGETS.sub("] ", parts)))
    return _SPACE.sub(" ", text).strip()


def _outside_tags(source: str) -> Iterator[str]:
    """Yield the parts of HTML outside of tags, comments, scripts and styles."""
    at, until = 0, ""
    for tag in _TAGS.finditer(source):
        if not until:
            yield source[at : tag.start()]
            yield " "
        at = tag.end()
        name = (tag["name"] or "").lower()
        if until:
            until = "" if tag[0] == until or (tag["end"] and name == until) else until
        elif tag[0] == "<!--":
            until = "-->"
        elif name in _UNSEEN and not tag["end"]:
            until = name
    if not until:
        yield source[at:]
