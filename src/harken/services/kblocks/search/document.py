"""The document of a K-Block in the search index: its words by field, for either database."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from harken.services.kblocks.search.analysis import plain, words

ANALYSIS = 1
"""The version of `analysis` and of this module: a row of another version is written again."""
MOST_CHARACTERS = 400_000
"""Characters of a content that are looked at."""
MOST_WORDS = 16_000
"""Words of a content that can be found: a tsvector knows the places of its first 16,383."""
MOST_BYTES = 500_000
"""UTF-8 bytes of these words; a tsvector has at most 1 MiB."""
MOST_PLACES = 255
"""Places of one word in a tsvector."""
BETWEEN = "¦"
"""Stands between tags, so that no phrase is found across two of them; it is in no word."""
GAP = 2
"""Places that are left free between fields, so that no phrase is found across two of them."""

TITLE, TAGS, AUTHOR, TEXT = "title", "tags", "author", "text"
FIELDS = (TITLE, TAGS, AUTHOR, TEXT)
LABELS = {TITLE: "A", TAGS: "B", AUTHOR: "C", TEXT: "D"}
"""The labels of the fields in a tsvector."""
WEIGHTS = {TITLE: 1.0, TAGS: 0.6, AUTHOR: 0.4, TEXT: 0.1}
"""The weight of a match in each field, in both databases."""


class Document(NamedTuple):
    """The words of a K-Block: of each field the parts that phrases do not cross."""

    digest: str
    title: list[str]
    tags: list[list[str]]
    author: list[str]
    text: list[str]

    def fts5(self) -> dict[str, str]:
        """Return the columns of the table of FTS5."""
        return {
            "digest": self.digest,
            TITLE: " ".join(self.title),
            TAGS: f" {BETWEEN} ".join(" ".join(tag) for tag in self.tags),
            AUTHOR: " ".join(self.author),
            TEXT: " ".join(self.text),
        }

    def vectors(self) -> dict[str, str]:
        """Return the columns of PostgreSQL: tsvectors, as text, of all but the text, and of all."""
        heading = [(LABELS[TITLE], self.title), *((LABELS[TAGS], tag) for tag in self.tags)]
        heading.append((LABELS[AUTHOR], self.author))
        return {
            "digest": self.digest,
            "heading": _vector(heading),
            "words": _vector([*heading, (LABELS[TEXT], self.text)]),
        }


def mark_of(digest: str) -> str:
    """Return what a row of the index says of the K-Block that it was made of."""
    return f"{ANALYSIS}:{digest}"


def document(
    digest: str, title: str, tags: Iterable[str], author: str | None, content: str
) -> Document:
    """Return the words of a K-Block with this digest."""
    return Document(
        mark_of(digest),
        words(title),
        [words(tag) for tag in tags],
        words(author or ""),
        _bounded(words(plain(content, MOST_CHARACTERS))),
    )


def _bounded(found: list[str]) -> list[str]:
    kept, size = found[:MOST_WORDS], 0
    for place, word in enumerate(kept):
        size += len(word.encode()) + 1
        if size > MOST_BYTES:
            return kept[:place]
    return kept


def _vector(parts: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return a tsvector as text; words need no escapes, since they have no ASCII punctuation."""
    places: dict[str, list[str]] = {}
    at = 1
    for label, found in parts:
        for word in found:
            known = places.setdefault(word, [])
            if len(known) < MOST_PLACES:
                known.append(f"{at}{label}")
            at += 1
        at += GAP
    return " ".join(f"'{word}':{','.join(known)}" for word, known in places.items())


def row_document(row: Any) -> Document:
    """Return the words of a stored row with readable values (`as_read`) and its digest."""
    return document(row["digest"], row["title"], row["tags"], row["author"], row["content"])
