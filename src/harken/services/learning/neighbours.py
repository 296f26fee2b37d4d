"""Item-to-item models: EASE and nearest neighbours. They need NumPy only."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from harken.services.learning.interaction_matrix import Floats, Interactions, Numbers

NEIGHBOURS = 100
"""So many neighbours of each item are kept."""
SHRINKAGE = 10.0
"""Lowers cosines that few readers support."""


@dataclass(frozen=True)
class Ease:
    """EASE: item-to-item weights that best reconstruct each reader's items from the other items.

    It uses the closed form of Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019:
    P = (XᵀX + λI)⁻¹, and the weight from item i to item j is −Pᵢⱼ / Pⱼⱼ. Each reader has the
    weight breadth^−½, so that readers of many items do not dominate. `weights` has the shape
    items × items and is dense.
    """

    name: ClassVar[str] = "ease"
    weights: Floats

    @classmethod
    def fit(
        cls, interactions: Interactions, regularization: float = 200.0, debias: float = 0.5
    ) -> Self:
        """Fit the weights; `regularization` is λ, `debias` the exponent of a reader's breadth."""
        breadth = (
            np.maximum(np.add.reduceat(interactions.weights, interactions.starts[:-1]), 1e-6)
            ** -debias
        )
        breadth *= 1 / breadth.mean()
        gram = np.zeros((len(interactions.items), len(interactions.items)), np.float32)
        for first, block in interactions.blocks():
            scaled = block * np.sqrt(breadth[first : first + len(block), None])
            gram += scaled.T @ scaled
        gram.flat[:: len(gram) + 1] += regularization
        weights = np.linalg.inv(gram)
        weights /= -weights.diagonal().copy()
        weights.flat[:: len(weights) + 1] = 0.0
        return cls(weights)

    def scores(self, items: Numbers, weights: Floats) -> Floats:
        """Return a score for each item (shape: items), for a history of `items` and `weights`."""
        scores: Floats = weights @ self.weights[items]
        return scores

    def similar(self, item: int) -> Floats:
        """Return how strongly this item suggests each item (shape: items)."""
        suggested: Floats = self.weights[item].copy()
        return suggested

    def arrays(self) -> dict[str, Any]:
        """Return the model's arrays by name."""
        return {"weights": self.weights}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], items: int) -> Self:
        """Restore a model from its arrays; raises ValueError or KeyError if they do not fit."""
        return cls(check_array(arrays["weights"], np.float32, (items, items)))


@dataclass(frozen=True)
class ItemNeighbours:
    """The nearest neighbours of each item, by the cosine of their readers, with shrinkage.

    The method is that of Sarwar et al., Item-based collaborative filtering recommendation
    algorithms, WWW 2001. `nearest` and `cosines` have the shape items × neighbours. An item with
    fewer neighbours has cosines of 0 in the places that are left.
    """

    name: ClassVar[str] = "neighbours"
    nearest: Numbers
    cosines: Floats

    @classmethod
    def fit(
        cls,
        interactions: Interactions,
        neighbours: int = NEIGHBOURS,
        shrinkage: float = SHRINKAGE,
    ) -> Self:
        """Fit the neighbours; a larger `shrinkage` lowers cosines that few readers support."""
        size = len(interactions.items)
        width = max(min(neighbours, size - 1), 1)
        rows = interactions.rows
        order = np.argsort(interactions.columns, kind="stable")
        readers, theirs = rows[order], interactions.weights[order]
        first = np.searchsorted(interactions.columns[order], np.arange(size + 1))
        length = np.sqrt(
            np.bincount(interactions.columns, interactions.weights.astype(float) ** 2, size)
        )
        nearest, cosines = np.zeros((size, width), np.intp), np.zeros((size, width), np.float32)
        for item in range(size):
            who = slice(first[item], first[item + 1])
            others, shared = _shared(interactions, readers[who], theirs[who])
            others, shared = others[others != item], shared[others != item]
            alike = shared / (length[item] * length[others] + shrinkage)
            best = np.lexsort((others, -alike))[:width]
            nearest[item, : len(best)], cosines[item, : len(best)] = others[best], alike[best]
        return cls(nearest, cosines)

    def scores(self, items: Numbers, weights: Floats) -> Floats:
        """Return a score for each item (shape: items), for a history of `items` and `weights`."""
        near = self._near
        at, counts = _slices(near.starts, items)
        weighed = near.cosines[at] * np.repeat(weights, counts)
        return np.bincount(near.items[at], weighed, len(self.nearest)).astype(np.float32)

    @cached_property
    def _near(self) -> "_Near":
        """The items that have each item as a neighbour: a history is far smaller than all items."""
        places = np.flatnonzero(self.cosines)
        neighbour = self.nearest.ravel()[places]
        places = places[np.argsort(neighbour, kind="stable")]
        starts = np.searchsorted(np.sort(neighbour), np.arange(len(self.nearest) + 1))
        return _Near(starts, places // self.nearest.shape[1], self.cosines.ravel()[places])

    def similar(self, item: int) -> Floats:
        """Return the cosine of each item with this one (shape: items), 0 if it is no neighbour."""
        alike = np.zeros(len(self.nearest), np.float32)
        np.maximum.at(alike, self.nearest[item], self.cosines[item])
        return alike

    def arrays(self) -> dict[str, Any]:
        """Return the model's arrays by name."""
        return {"nearest": self.nearest.astype(np.int32), "cosines": self.cosines}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], items: int) -> Self:
        """Restore a model from its arrays; raises ValueError or KeyError if they do not fit."""
        cosines = check_array(arrays["cosines"], np.float32, (items, None))
        nearest = check_array(arrays["nearest"], np.int32, cosines.shape).astype(np.intp)
        if nearest.size and not 0 <= nearest.min() <= nearest.max() < items:
            raise ValueError("a neighbour's number is not the number of an item")
        return cls(nearest, cosines)


class _Near(NamedTuple):
    """Item i is a neighbour of `items[starts[i] : starts[i + 1]]`, with these `cosines`."""

    starts: Numbers
    items: Numbers
    cosines: Floats


def _slices(starts: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
    """Return the indices of all entries of some rows of a CSR matrix, and how many each row has."""
    counts = starts[rows + 1] - starts[rows]
    offsets = np.cumsum(counts) - counts
    return np.arange(counts.sum()) + np.repeat(starts[rows] - offsets, counts), counts


def _shared(
    interactions: Interactions, readers: Numbers, weights: Floats
) -> tuple[Numbers, Floats]:
    """Return the items of some readers, and for each the sum of products of weights."""
    at, counts = _slices(interactions.starts, readers)
    products = interactions.weights[at] * np.repeat(weights, counts)
    others, back = np.unique(interactions.columns[at], return_inverse=True)
    return others, np.bincount(back, products, len(others)).astype(np.float32)


def check_array(array: Any, kind: Any, shape: tuple[int | None, ...]) -> Any:
    """Return an array after checking its type, its shape and that all values are finite.

    `None` in `shape` allows any size. Raises ValueError.
    """
    if array.dtype != kind or len(array.shape) != len(shape):
        raise ValueError(f"an array is {array.dtype} of {array.ndim} dimensions")
    if any(each not in {None, size} for each, size in zip(shape, array.shape, strict=True)):
        raise ValueError(f"an array has the shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("an array has numbers that are not finite")
    return array
