"""Items that suggest each other, by their readers: EASE and nearest neighbours. NumPy is enough."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from harken.services.learning.interaction_matrix import Floats, Interactions, Numbers


@dataclass(frozen=True)
class Ease:
    """EASE: the item weights that best reconstruct what readers touched, none from itself.

    The closed form of Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019:
    P = (XᵀX + λI)⁻¹, and what item i says of item j is −Pᵢⱼ / Pⱼⱼ. Each reader weighs
    breadth^−½, so that readers of much do not settle everything. Dense: items × items.
    """

    name: ClassVar[str] = "ease"
    weights: Floats

    @classmethod
    def fit(cls, known: Interactions, regularization: float = 200.0, debias: float = 0.5) -> Self:
        """Fit; `regularization` is λ, and `debias` the power of a reader's breadth."""
        breadth = np.maximum(np.add.reduceat(known.weights, known.starts[:-1]), 1e-6) ** -debias
        breadth *= 1 / breadth.mean()
        gram = np.zeros((len(known.items), len(known.items)), np.float32)
        for first, block in known.blocks():
            scaled = block * np.sqrt(breadth[first : first + len(block), None])
            gram += scaled.T @ scaled
        gram.flat[:: len(gram) + 1] += regularization
        weights = np.linalg.inv(gram)
        weights /= -weights.diagonal().copy()
        weights.flat[:: len(weights) + 1] = 0.0
        return cls(weights)

    def scores(self, items: Numbers, weights: Floats) -> Floats:
        """Score every item for somebody who likes some, by weights."""
        scores: Floats = weights @ self.weights[items]
        return scores

    def similar(self, item: int) -> Floats:
        """Say of every item how strongly this one suggests it."""
        suggested: Floats = self.weights[item].copy()
        return suggested

    def arrays(self) -> dict[str, Any]:
        """Return what a model consists of, by name."""
        return {"weights": self.weights}

    @classmethod
    def of(cls, arrays: Mapping[str, Any], items: int) -> Self:
        """Return the model that consists of these; raises ValueError or KeyError."""
        return cls(checked(arrays["weights"], np.float32, (items, items)))


@dataclass(frozen=True)
class ItemNeighbours:
    """For each item, those with most of the same readers, by cosine with shrinkage.

    As in Sarwar et al., Item-based collaborative filtering recommendation algorithms, WWW 2001.
    `nearest` and `cosines` are items × neighbours; where there are fewer, a cosine is 0.
    """

    name: ClassVar[str] = "neighbours"
    nearest: Numbers
    cosines: Floats

    @classmethod
    def fit(cls, known: Interactions, neighbours: int = 100, shrinkage: float = 10.0) -> Self:
        """Fit; `shrinkage` readers more have to be shared before cosines are believed."""
        size = len(known.items)
        width = max(min(neighbours, size - 1), 1)
        rows = known.rows
        order = np.argsort(known.columns, kind="stable")
        readers, theirs = rows[order], known.weights[order]
        first = np.searchsorted(known.columns[order], np.arange(size + 1))
        length = np.sqrt(np.bincount(known.columns, known.weights.astype(float) ** 2, size))
        nearest, cosines = np.zeros((size, width), np.intp), np.zeros((size, width), np.float32)
        for item in range(size):
            who = slice(first[item], first[item + 1])
            others, shared = _shared(known, readers[who], theirs[who])
            others, shared = others[others != item], shared[others != item]
            alike = shared / (length[item] * length[others] + shrinkage)
            best = np.lexsort((others, -alike))[:width]
            nearest[item, : len(best)], cosines[item, : len(best)] = others[best], alike[best]
        return cls(nearest, cosines)

    def scores(self, items: Numbers, weights: Floats) -> Floats:
        """Score every item for somebody who likes some, by weights."""
        liked = np.zeros(len(self.nearest), np.float32)
        liked[items] = weights
        scores: Floats = (self.cosines * liked[self.nearest]).sum(axis=1)
        return scores

    def similar(self, item: int) -> Floats:
        """Say of every item how alike it is; 0 for those that are no neighbours."""
        alike = np.zeros(len(self.nearest), np.float32)
        np.maximum.at(alike, self.nearest[item], self.cosines[item])
        return alike

    def arrays(self) -> dict[str, Any]:
        """Return what a model consists of, by name."""
        return {"nearest": self.nearest.astype(np.int32), "cosines": self.cosines}

    @classmethod
    def of(cls, arrays: Mapping[str, Any], items: int) -> Self:
        """Return the model that consists of these; raises ValueError or KeyError."""
        cosines = checked(arrays["cosines"], np.float32, (items, None))
        nearest = checked(arrays["nearest"], np.int32, cosines.shape).astype(np.intp)
        if nearest.size and not 0 <= nearest.min() <= nearest.max() < items:
            raise ValueError("there is a neighbour that is no item")
        return cls(nearest, cosines)


def _shared(known: Interactions, readers: Numbers, weights: Floats) -> tuple[Numbers, Floats]:
    """Return the items of some readers, and the sums of products of weights."""
    counts = known.starts[readers + 1] - known.starts[readers]
    offsets = np.cumsum(counts) - counts
    at = np.arange(counts.sum()) + np.repeat(known.starts[readers] - offsets, counts)
    products = known.weights[at] * np.repeat(weights, counts)
    others, back = np.unique(known.columns[at], return_inverse=True)
    return others, np.bincount(back, products, len(others)).astype(np.float32)


def checked(array: Any, kind: Any, shape: tuple[int | None, ...]) -> Any:
    """Return an array that is what it should be: of a type, a shape, and finite."""
    if array.dtype != kind or len(array.shape) != len(shape):
        raise ValueError(f"an array is {array.dtype} of {array.ndim} dimensions")
    if any(each not in {None, size} for each, size in zip(shape, array.shape, strict=True)):
        raise ValueError(f"an array has the shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("an array has numbers that are not finite")
    return array
