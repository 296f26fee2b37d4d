"""Where a K-Block matches a query: the fields, and HTML in which the matches are marked.

All texts in this HTML are escaped; its only elements are `mark`.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from harken.services.kblocks.search.analysis import LONGEST_WORD, Word, placed_words, plain
from harken.services.kblocks.search.document import (
    AUTHOR,
    MOST_CHARACTERS,
    TAGS,
    TEXT,
    TITLE,
)
from harken.services.kblocks.search.matches import Texts
from harken.services.kblocks.search.query import Query, Term

SNIPPET = 240
"""Characters of a snippet, at most."""
BEFORE = 60
"""Characters before the first match of a snippet, at most."""
MOST_SPANS = 200
"""Matches of a text that are looked at, to find the best place for a snippet."""


class Marked(NamedTuple):
    """Where a K-Block matches: by field the terms that were found in it, and marked HTML."""

    fields: dict[str, list[str]]
    title: str
    snippet: str


class Span(NamedTuple):
    """A match in a text, and the place of its term in the query."""

    start: int
    end: int
    term: int


def marked(texts: Texts, query: Query | None) -> Marked:
    """Return where a K-Block matches; a query that is None matches nowhere."""
    terms = () if query is None else query.wanted
    title = spans(texts.title, terms)
    tags = [spans(tag, terms) for tag in texts.tags]
    text = plain(texts.content, MOST_CHARACTERS) if terms else ""
    inside = spans(text, terms)
    by_field: dict[str, Iterable[Span]] = {
        TITLE: title,
        TAGS: [span for each in tags for span in each],
        AUTHOR: spans(texts.author, terms),
        TEXT: inside,
    }
    found = {name: _named(terms, each) for name, each in by_field.items()}
    return Marked(
        {name: named for name, named in found.items() if named},
        with_marks(texts.title, title),
        _snippet(text, inside) if inside else escape(texts.preview),
    )


def _named(terms: Sequence[Term], found: Iterable[Span]) -> list[str]:
    return [str(terms[place]) for place in sorted({span.term for span in found})]


def with_marks(text: str, found: Sequence[Span]) -> str:
    """Return a text as HTML with its spans marked; overlapping ones are joined."""
    parts, at = [], 0
    for start, end in _joined(found):
        parts += [escape(text[at:start]), f"<mark>{escape(text[start:end])}</mark>"]
        at = end
    return "".join([*parts, escape(text[at:])])


def _joined(found: Sequence[Span]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end, _term in sorted(found):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _snippet(text: str, found: Sequence[Span]) -> str:
    """Return the part of a text that has most of the terms, with its matches marked."""
    ordered = sorted(found)[:MOST_SPANS]
    best = max(ordered, key=lambda first: (len(_terms_from(ordered, first.start)), -first.start))
    start = _word_start(text, max(0, best.start - BEFORE), best.start)
    end = min(len(text), start + SNIPPET)
    if end < len(text) and (cut := text.rfind(" ", best.end, end)) > 0:
        end = cut
    inside = [
        Span(span.start - start, min(span.end, end) - start, span.term)
        for span in found
        if start <= span.start < end
    ]
    before, after = "…" if start else "", "…" if end < len(text) else ""
    return before + with_marks(text[start:end], inside) + after


def _terms_from(ordered: Sequence[Span], start: int) -> set[int]:
    return {span.term for span in ordered if start <= span.start < start + SNIPPET - BEFORE}


def _word_start(text: str, start: int, match: int) -> int:
    """Return where the first whole word after `start` begins, at the match at the latest."""
    if start == 0:
        return 0
    space = text.find(" ", start, match)
    return start if space < 0 else space + 1


def spans(text: str, terms: Sequence[Term]) -> list[Span]:
    """Return the matches of terms in a text."""
    if not terms or not text:
        return []
    if text.isascii():
        return _in_ascii(text.lower(), terms)
    found = list(placed_words(text))
    places: dict[str, list[int]] = {}
    for place, word in enumerate(found):
        places.setdefault(word.text, []).append(place)
    return [span for at, term in enumerate(terms) for span in _in_words(found, places, term, at)]


def _in_ascii(text: str, terms: Sequence[Term]) -> list[Span]:
    return [
        Span(match.start(), match.end(), at)
        for at, term in enumerate(terms)
        if all(word.isascii() for word in term.words)
        for match in _ascii_pattern(term).finditer(text)
    ]


def _ascii_pattern(term: Term) -> re.Pattern[str]:
    # A word of the greatest length may have been cut: then its rest is marked, too.
    is_open = term.is_prefix or len(term.words[-1]) >= LONGEST_WORD
    rest = "[a-z0-9]*" if is_open else ""
    phrase = "[^a-z0-9]+".join(term.words)
    return re.compile(rf"(?<![a-z0-9]){phrase}{rest}(?![a-z0-9])")


def _in_words(
    found: Sequence[Word], places: dict[str, list[int]], term: Term, at: int
) -> Iterable[Span]:
    first, count = term.words[0], len(term.words)
    if term.is_prefix and count == 1:
        starts = sorted(
            p for word, known in places.items() if word.startswith(first) for p in known
        )
    else:
        starts = places.get(first, [])
    for start in starts:
        these = found[start : start + count]
        if len(these) == count and _follows(these, term):
            yield Span(these[0].start, max(word.end for word in these), at)


def _follows(these: Sequence[Word], term: Term) -> bool:
    *before, last = (word.text for word in these)
    ends = last.startswith(term.words[-1]) if term.is_prefix else last == term.words[-1]
    return ends and before == list(term.words[:-1])
