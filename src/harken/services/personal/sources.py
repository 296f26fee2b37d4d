"""The candidate sources of personal and learned feeds: each names some K-Blocks worth scoring.

A score takes too long to be computed for every K-Block of a large catalogue. So each source names
at most `most` candidates, and those of all sources are scored together.

    newest             what has just come
    trending           what everybody is reading
    labelled           the newest with the tags and authors that the reader likes most
    similar_readers    what readers with the same taste liked last
    co_engaged         what the readers of the reader's last K-Blocks liked, of any age
    near_texts         what is near in words to what the reader liked, of any age

If the model in service has factors, these are one more source
(`services/learning/factor_candidates.py`).

The same sources serve feeds and narrow the candidates of training. What they ask of the K-Blocks is
`CandidatePool`: feeds have an index of the database (`index_pool`), and training has the K-Blocks
of the log so far (`services/learning/candidate_generation.py`).

To add a source, write a class with the members of `CandidateSource`, and add it to `SOURCES`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from harken.services.index.index import Rows
from harken.services.personal.similarity import (
    NEIGHBOURS,
    RECENTLY_LIKED,
    co_engaged_with,
    recently_liked_by,
)
from harken.services.readers.affinities import Affinities

NEWEST = 150
TRENDING = 100
LABELLED = 40
"""The candidates of each label that the reader likes most."""
MOST_LABELS = 6
"""The number of these labels."""
CO_ENGAGED = 200
NEAR = 100
LABEL_KINDS = ("tags", "authors")


class CandidatePool(Protocol):
    """The K-Blocks that may be candidates: those of a feed that its reader may see.

    A row is the number of a K-Block in this pool.
    """

    def newest(self, count: int) -> Rows:
        """Return the rows of the `count` newest K-Blocks."""

    def trending(self, count: int) -> Rows:
        """Return the rows of the `count` K-Blocks with the highest trends."""

    def labelled(self, kind: str, name: str, count: int) -> Rows:
        """Return the rows of about the `count` newest with a label of `LABEL_KINDS`."""

    def rows(self, places: Rows) -> Rows:
        """Return the rows of K-Blocks by their places in the affinities; others are left out."""

    def texts(self, keys: Rows) -> Rows:
        """Return the rows of K-Blocks by the keys of their texts; others are left out."""


class CandidateQuery(NamedTuple):
    """Who candidates are for, at a time (microseconds since 1970), and where they come from."""

    pool: CandidatePool
    affinities: Affinities
    user_id: str
    now: int


class CandidateSource(Protocol):
    """One way to find candidates for a reader."""

    @property
    def name(self) -> str:
        """The name of the source, as in docs/evaluation.md and in measurements."""

    @property
    def most(self) -> int:
        """The most candidates that it returns."""

    def candidates(self, query: CandidateQuery) -> Rows:
        """Return rows of the pool, in any order; none if the source knows too little."""


@dataclass(frozen=True)
class Newest:
    """The newest K-Blocks."""

    name: ClassVar[str] = "newest"
    most: int = NEWEST

    def candidates(self, query: CandidateQuery) -> Rows:
        """Return the newest rows of the pool."""
        return query.pool.newest(self.most)


@dataclass(frozen=True)
class Trending:
    """The K-Blocks with the highest trends."""

    name: ClassVar[str] = "trending"
    most: int = TRENDING

    def candidates(self, query: CandidateQuery) -> Rows:
        """Return the rows of the pool with the highest trends."""
        return query.pool.trending(self.most)


@dataclass(frozen=True)
class Labelled:
    """The newest K-Blocks with each of the tags and authors that the reader likes most."""

    name: ClassVar[str] = "labelled"
    most: int = MOST_LABELS * LABELLED

    def candidates(self, query: CandidateQuery) -> Rows:
        """Return rows of the pool with these labels."""
        liked = query.affinities.liked(query.user_id, LABEL_KINDS, query.now, MOST_LABELS)
        return _joined(
            [
                query.pool.labelled(label.kind, str(label.name), self.most // MOST_LABELS)
                for label in liked
            ]
        )


@dataclass(frozen=True)
class SimilarReaders:
    """The K-Blocks that the most similar readers liked last."""

    name: ClassVar[str] = "similar_readers"
    most: int = NEIGHBOURS * RECENTLY_LIKED

    def candidates(self, query: CandidateQuery) -> Rows:
        """Return the rows of these K-Blocks."""
        places = recently_liked_by(query.affinities, query.user_id, self.most // NEIGHBOURS)
        return query.pool.rows(places)


@dataclass(frozen=True)
class CoEngaged:
    """Item-to-item neighbours of the K-Blocks that the reader liked last."""

    name: ClassVar[str] = "co_engaged"
    most: int = CO_ENGAGED

    def candidates(self, query: CandidateQuery) -> Rows:
        """Return the rows of these neighbours."""
        places = co_engaged_with(query.affinities, query.user_id, query.now, self.most)
        return query.pool.rows(places)


@dataclass(frozen=True)
class NearTexts:
    """The K-Blocks whose texts are nearest to the reader's taste."""

    name: ClassVar[str] = "near_texts"
    most: int = NEAR

    def candidates(self, query: CandidateQuery) -> Rows:
        """Return the rows of these K-Blocks."""
        taste = query.affinities.taste(query.user_id, query.now)
        if taste is None:
            return np.zeros(0, np.int64)
        return query.pool.texts(query.affinities.texts.nearest(taste.terms, self.most))


SOURCES: tuple[CandidateSource, ...] = (
    Newest(), Trending(), Labelled(), SimilarReaders(), CoEngaged(), NearTexts(),
)  # fmt: skip
"""The sources that need no trained model."""


def most_candidates(sources: Sequence[CandidateSource] = SOURCES) -> int:
    """Return the most candidates that some sources find together."""
    return sum(source.most for source in sources)


def retrieve(query: CandidateQuery, sources: Sequence[CandidateSource] = SOURCES) -> Rows:
    """Return the candidates of a reader: rows of the pool, ascending, each once."""
    return np.unique(_joined([source.candidates(query) for source in sources]))


def _joined(found: Sequence[Rows]) -> Rows:
    return np.concatenate(found) if found else np.zeros(0, np.int64)
