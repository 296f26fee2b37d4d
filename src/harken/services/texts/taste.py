"""The taste of one reader in words: weights of terms, from the texts they liked and dismissed.

The weights solve a ridge regression of what the reader did (from -1, dismissed, to 1, liked) on the
vectors of the texts, without an intercept. It is solved in its dual form, whose size is that of the
history and not that of the vocabulary (Saunders, Gammerman and Vovk, Ridge regression learning
algorithm in dual variables, ICML 1998).
"""

from typing import NamedTuple

import numpy as np

from harken.services.texts.vectors import Floats, Numbers, TermWeights, TextVectors, Vectors

MOST = 64
"""A taste follows from so many texts: the last that were liked, dismissed or read."""
RIDGE = 1.0
"""The penalty of weights, in the squared length of a vector."""


class Taste(NamedTuple):
    """Weights of terms, and the keys of the texts from which they follow, with their labels."""

    terms: TermWeights
    keys: Numbers
    labels: Floats


def taste_of(texts: TextVectors, keys: Numbers, labels: Floats) -> Taste | None:
    """Return the taste that follows from texts with labels from -1 to 1, the latest last.

    Returns None if none of them has both a text and a label.
    """
    known = np.flatnonzero(texts.has(keys) & (labels != 0))[-MOST:]
    if not len(known):
        return None
    keys, labels = keys[known], labels[known]
    vectors = texts.vectors(keys)
    terms, dense = _dense(vectors)
    importance = np.abs(labels)
    gram = dense @ dense.T
    dual = np.linalg.solve(gram + np.diag(RIDGE / importance), np.sign(labels))
    return Taste(TermWeights(terms, dual @ dense), keys, labels)


def _dense(vectors: Vectors) -> tuple[Numbers, Floats]:
    """Return the distinct terms of vectors, and the vectors as texts × these terms."""
    terms, column = np.unique(vectors.terms, return_inverse=True)
    count, width = len(vectors.terms), len(terms)
    # By one count over all cells: `np.add.at` takes several times as long.
    cell = np.arange(count)[:, None] * width + column.reshape(vectors.terms.shape)
    dense = np.bincount(cell.ravel(), vectors.weights.ravel(), count * width)
    return terms.astype(np.intp), np.asarray(dense, np.float64).reshape(count, width)


def nearest_liked(texts: TextVectors, taste: Taste, keys: Numbers) -> tuple[Numbers, Floats]:
    """Return, by key, the key of the most similar liked text, and their cosine; -1 without one."""
    liked = taste.keys[taste.labels > 0]
    if not len(liked):
        return np.full(len(keys), -1), np.zeros(len(keys))
    terms, dense = _dense(texts.vectors(liked))
    cosines = np.stack([texts.project(TermWeights(terms, row), keys) for row in dense])
    best = cosines.argmax(axis=0)
    return liked[best], cosines[best, np.arange(len(keys))]
