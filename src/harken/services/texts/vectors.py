"""The texts of K-Blocks as vectors: terms weighted by TF-IDF, each vector of length 1.

A weight is (1 + ln tf) · ln((1 + n) / df), for a term that occurs tf times in a text and in df of n
texts (Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, chapter 6). The
weights follow df and n as texts come and go, so only tf is kept. The size is `WIDTH` terms for each
text, at five bytes each, and as much again for the lists of texts by term.
"""

from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.services.texts.terms import BUCKETS, Terms

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Numbers = NDArray[np.intp]

WIDTH = 64
"""So many terms of a text are kept: those with the highest weights."""
_FIRST = 64
# A smaller collection is compared as a whole; a larger one, by the strongest terms of a taste.
_FEW = 1_000
_STRONGEST = 48
_LATEST = 1_000  # of the texts with a term, so many are looked at: those added last
_SHORTLIST = 4  # so many times the wanted number are compared in full


# 1 + ln tf, by tf as it is kept.
_FREQUENT = (1 + np.log(np.maximum(np.arange(256), 1))).astype(np.float32) * (np.arange(256) > 0)


class TermWeights(NamedTuple):
    """Weights of terms: the numbers of the terms, each once, and a weight for each."""

    terms: Numbers
    weights: Floats


class Vectors(NamedTuple):
    """Vectors of some texts: terms and weights, texts × `WIDTH`; empty slots have the weight 0."""

    terms: NDArray[np.int32]
    weights: Singles


class TextVectors:
    """The vectors of texts, by keys: whole numbers from 0 on that the caller chooses.

    Keys below 0 stand for no text.
    """

    def __init__(self) -> None:
        self._row_of = np.zeros(_FIRST, np.int32)  # by key, 0 without a text
        self._key_of = array("q", [-1])  # by row, -1 for an unused row
        self._terms = np.zeros((_FIRST, WIDTH), np.int32)
        self._counts = np.zeros((_FIRST, WIDTH), np.uint8)
        self._unused: list[int] = []
        self._frequency = np.zeros(BUCKETS, np.int32)  # the number of texts with each term
        self._logarithm = np.zeros(BUCKETS, np.float32)  # of this number, of 1 instead of 0
        self._only = np.zeros(BUCKETS, np.int32)  # the row of the first text with each term
        self._rows_with: dict[int, array[int]] = {}  # the rows with a term that two texts have
        self._scratch = np.zeros(BUCKETS, np.float32)
        self.changes = 0
        """How often texts were added or removed."""

    def __len__(self) -> int:
        return len(self._key_of) - 1 - len(self._unused)

    # Changes

    def put(self, texts: Sequence[tuple[int, Terms]]) -> None:
        """Add or replace the texts of some keys."""
        self.changes += 1
        for key, _ in texts:
            self.remove(key)
        for _, terms in texts:  # first of all, so that the weights know all of them
            self._count(terms.numbers, 1)
        for key, terms in texts:
            self._add(key, terms)

    def remove(self, key: int) -> None:
        """Remove the text of a key, if it has one."""
        self.changes += 1
        row = int(self._row_of[key]) if key < len(self._row_of) else 0
        if row:
            terms = self._terms[row]
            self._count(terms[self._counts[row] > 0], -1)
            self._row_of[key], self._key_of[row] = 0, -1
            self._terms[row], self._counts[row] = 0, 0
            self._unused.append(row)

    def _add(self, key: int, terms: Terms) -> None:
        numbers, counts = terms.numbers, np.minimum(terms.counts, len(_FREQUENT) - 1)
        if len(numbers) > WIDTH:
            heavy = np.argsort(-self._weights(numbers, counts), kind="stable")
            self._count(numbers[heavy[WIDTH:]], -1)  # they are not kept
            numbers, counts = numbers[heavy[:WIDTH]], counts[heavy[:WIDTH]]
        row = self._new_row(key)
        self._terms[row, : len(numbers)] = numbers
        self._counts[row, : len(numbers)] = counts
        for term in numbers.tolist():
            self._list(term, row)

    def _count(self, terms: NDArray[np.int32], change: int) -> None:
        """Change the number of texts that have each of some terms."""
        self._frequency[terms] += change
        self._logarithm[terms] = np.log(np.maximum(self._frequency[terms], 1))

    def _list(self, term: int, row: int) -> None:
        """Add a row to those with a term; a term of one text alone gets no list."""
        rows = self._rows_with.get(term)
        if rows is not None:
            rows.append(row)
            if len(rows) > 2 * _LATEST:
                del rows[:_LATEST]
        elif self._only[term]:
            self._rows_with[term] = array("i", [int(self._only[term]), row])
        else:
            self._only[term] = row

    def _new_row(self, key: int) -> int:
        if self._unused:
            row = self._unused.pop()
            self._key_of[row] = key
        else:
            row = len(self._key_of)
            self._key_of.append(key)
            if row == len(self._terms):
                self._terms = np.concatenate([self._terms, np.zeros_like(self._terms)])
                self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        if key >= len(self._row_of):
            more = np.zeros(max(len(self._row_of), key + 1 - len(self._row_of)), np.int32)
            self._row_of = np.concatenate([self._row_of, more])
        self._row_of[key] = row
        return row

    # Vectors

    def has(self, keys: Numbers) -> NDArray[np.bool_]:
        """Return, by key, whether it has a text."""
        return self._rows(keys) > 0

    def vectors(self, keys: Numbers) -> Vectors:
        """Return the vectors of some keys; that of a key without a text is 0."""
        return self._vectors(self._rows(keys))

    def weights(self, key: int) -> TermWeights:
        """Return the vector of one key as weights of terms; without a text, there are none."""
        terms, weights = self.vectors(np.array([key]))
        kept = weights[0] > 0
        return TermWeights(terms[0][kept].astype(np.intp), weights[0][kept].astype(np.float64))

    def project(self, taste: TermWeights, keys: Numbers) -> Floats:
        """Return, by key, the scalar product of its vector with weights of terms."""
        return self._project(taste, self._rows(keys))

    def nearest(self, taste: TermWeights, count: int) -> Numbers:
        """Return the keys of the `count` texts with the highest products, all above 0.

        In a large collection, they are looked for among the texts added last that have one of the
        strongest terms of the taste.
        """
        rows = self._sharing_terms(taste, _SHORTLIST * count)
        products = self._project(taste, rows)
        best = np.argsort(-products, kind="stable")[:count]
        keys = np.frombuffer(self._key_of, np.int64)[rows[best[products[best] > 0]]]
        return keys[keys >= 0].astype(np.intp)

    def _rows(self, keys: Numbers) -> Numbers:
        known = (keys >= 0) & (keys < len(self._row_of))
        return np.where(known, self._row_of[np.where(known, keys, 0)], 0).astype(np.intp)

    def _weights(self, terms: NDArray[Any], counts: NDArray[Any]) -> Singles:
        """Return TF-IDF weights, above 0 for every term of a text."""
        weights: Singles = _FREQUENT[counts] * self._rarity(terms)
        return weights

    def _rarity(self, terms: NDArray[Any]) -> Singles:
        rarity: Singles = np.float32(np.log(len(self) + 1)) - self._logarithm[terms]
        return np.maximum(rarity, 0.0, out=rarity)

    def _vectors(self, rows: Numbers) -> Vectors:
        terms = self._terms[rows]
        weights = self._weights(terms, self._counts[rows])
        length = np.sqrt(np.einsum("ij,ij->i", weights, weights))
        weights /= np.maximum(length, 1e-9)[:, None]
        return Vectors(terms, weights)

    def _project(self, taste: TermWeights, rows: Numbers) -> Floats:
        self._scratch[taste.terms] = taste.weights
        terms, weights = self._vectors(rows)
        products = np.einsum("ij,ij->i", self._scratch[terms], weights)
        self._scratch[taste.terms] = 0.0
        return np.asarray(products, np.float64)

    def _sharing_terms(self, taste: TermWeights, count: int) -> Numbers:
        """Return rows that have strong terms of a taste, at most `count` in a large collection."""
        if len(self._key_of) <= _FEW:
            return np.arange(1, len(self._key_of))
        strength = taste.weights * self._rarity(taste.terms)
        strongest = np.argsort(-strength, kind="stable")[:_STRONGEST]
        found: list[Numbers] = []
        strengths: list[Floats] = []
        for at in strongest[strength[strongest] > 0].tolist():
            with_term = self._rows_with.get(int(taste.terms[at]), array("i"))
            found.append(np.frombuffer(with_term[-_LATEST:], np.int32).astype(np.intp))
            strengths.append(np.full(len(found[-1]), strength[at]))
        if not found:
            return np.zeros(0, np.intp)
        rows, places = np.unique(np.concatenate(found), return_inverse=True)
        if len(rows) <= count:
            return rows
        total = np.bincount(places, np.concatenate(strengths))
        first: Numbers = rows[np.argpartition(total, -count)[-count:]]
        return first
