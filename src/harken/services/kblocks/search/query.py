"""Queries as people type them: words, "phrases", -left-out, and beginnings such as `gi*`.

All words are wanted. Whatever cannot be read as more is read as words: a quote that never closes,
AND, parentheses, a lone star. A chunk that consists of several words (`state-of-the-art`) is a
phrase of them. So a query is only refused if nothing can be looked for, or if it is too long.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from harken.domain.fields import Text
from harken.errors import InvalidInput, Problem
from harken.services.kblocks.search.analysis import is_unspaced, words
from harken.services.kblocks.search.document import AUTHOR, TAGS, TITLE

MOST_CHARACTERS = 1_000
MOST_WORDS = 64
LEAST_PREFIX = 2
"""Characters of a beginning; a shorter one is looked for as a word."""

# A dash before a word leaves the word out; `--force` and a lone `-` leave nothing out.
_CHUNKS = re.compile(
    r'(?P<minus>(?<!\S)-(?=[^\s-]))?(?:["“”„](?P<phrase>[^"“”„]*)["“”]|(?P<plain>[^\s"“”„]+)|["“”„])'
)
_storable = TypeAdapter(Text)


class Term(NamedTuple):
    """A condition: words that a K-Block must have, or must not, one after the other in a field.

    The last word of a prefix stands for all words that begin with it.
    """

    words: tuple[str, ...]
    is_prefix: bool = False
    is_excluded: bool = False

    def __str__(self) -> str:
        """Return the term as a query has it."""
        text = " ".join(self.words)
        quoted = f'"{text}"' if len(self.words) > 1 else text
        return f"{'-' if self.is_excluded else ''}{quoted}{'*' if self.is_prefix else ''}"


class Query(NamedTuple):
    """The terms of a query; at least one is wanted."""

    wanted: tuple[Term, ...]
    excluded: tuple[Term, ...] = ()

    def __str__(self) -> str:
        """Return the query as it was understood."""
        return " ".join(map(str, (*self.wanted, *self.excluded)))

    def fts5(self, *, in_heading: bool = False, whole: bool = True) -> str:
        """Return the query for FTS5, without what is left out if it is not `whole`.

        `in_heading` leaves the text of K-Blocks aside.
        """
        found = f"({' AND '.join(map(_fts5, self.wanted))})"
        if in_heading:
            found = f"{{{TITLE} {TAGS} {AUTHOR}}} : {found}"
        if whole and self.excluded:
            found = f"({found}) NOT ({' OR '.join(map(_fts5, self.excluded))})"
        return found

    def tsquery(self) -> str:
        """Return the query for PostgreSQL, as the text of a tsquery."""
        wanted = " & ".join(map(_tsquery, self.wanted))
        excluded = "".join(f" & !({_tsquery(term)})" for term in self.excluded)
        return wanted + excluded

    def loose_tsquery(self) -> str:
        """Return a tsquery for all of the wanted words, in any order, which an index tells."""
        return " & ".join(self._lexemes())

    def any_word(self) -> str:
        """Return a tsquery for any of the wanted words, by which relevance is measured."""
        return " | ".join(self._lexemes())

    def _lexemes(self) -> Iterable[str]:
        words = (
            _lexeme(word, is_prefix=term.is_prefix and place == len(term.words) - 1)
            for term in self.wanted
            for place, word in enumerate(term.words)
        )
        return dict.fromkeys(words)


def parse_query(text: str) -> Query:
    """Return the query that a text means.

    Raises InvalidInput if there is no word to look for, or for a text that is too long.
    """
    try:
        _storable.validate_python(text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InvalidInput(Problem("q", reason)) from None
    if len(text) > MOST_CHARACTERS:
        raise InvalidInput(
            Problem("q", f"has {len(text)} characters; at most {MOST_CHARACTERS} are looked for")
        )
    terms = list(dict.fromkeys(_terms(text)))
    wanted = tuple(term for term in terms if not term.is_excluded)
    excluded = tuple(term for term in terms if term.is_excluded)
    if not wanted:
        what = "only says what to leave out" if excluded else "has no word, only signs"
        raise InvalidInput(Problem("q", f"{what}; name a word to look for, such as git"))
    count = sum(len(term.words) for term in terms)
    if count > MOST_WORDS:
        raise InvalidInput(
            Problem("q", f"has {count} words; at most {MOST_WORDS} are looked for at once")
        )
    return Query(wanted, excluded)


def _terms(text: str) -> Iterator[Term]:
    for chunk in _CHUNKS.finditer(text):
        phrase, plain = chunk["phrase"], chunk["plain"]
        source = phrase if phrase is not None else plain
        if source is None:
            continue
        stars = plain is not None and source.endswith("*")
        is_prefix = stars or (text[chunk.end() : chunk.end() + 1] == "*" and phrase is not None)
        yield from _term(source, is_prefix=is_prefix, is_excluded=chunk["minus"] is not None)


def _term(source: str, *, is_prefix: bool, is_excluded: bool) -> Iterator[Term]:
    found = words(source)
    if not found:
        return
    text = source.rstrip("*").rstrip()
    if is_unspaced(text):
        # In a K-Block more may follow this character, which is the first of a pair there.
        if len(found) > 1 and is_unspaced(text[:-1]):
            found.pop()
            is_prefix = False
        else:
            is_prefix = True
    elif len(found[-1]) < LEAST_PREFIX:
        is_prefix = False
    yield Term(tuple(found), is_prefix, is_excluded)


def _fts5(term: Term) -> str:
    return f'"{" ".join(term.words)}"{" *" if term.is_prefix else ""}'


def _tsquery(term: Term) -> str:
    *before, last = term.words
    return " <-> ".join([*map(_lexeme, before), _lexeme(last, is_prefix=term.is_prefix)])


def _lexeme(word: str, *, is_prefix: bool = False) -> str:
    return f"'{word}'{':*' if is_prefix else ''}"
