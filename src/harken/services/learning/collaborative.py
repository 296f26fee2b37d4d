"""Collaborative filtering: recommends what readers of the same items liked.

There are three methods and a blend of two, behind one protocol. `default_method` selects one;
docs/collaborative.md has the measurements. A model is fitted once. A reader's current history is
folded in at each request. The same input and seed give the same model.
"""

import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np

from harken.errors import InvalidInput, Problem
from harken.services.learning.factorization import Factors
from harken.services.learning.interaction_matrix import Floats, Interactions, Numbers
from harken.services.learning.neighbours import Ease, ItemNeighbours

MAX_DENSE_ITEMS = 10_000
"""The most items for which a model may keep a number for each pair of items."""

_FORMAT = "harken.collaborative"
_VERSION = 1


class Method(Protocol):
    """A fitted model; items are given by their index in the list of items."""

    name: ClassVar[str]

    def scores(self, items: Numbers, weights: Floats) -> Floats:
        """Return a score for each item (shape: items), for a history of `items` and `weights`."""

    def similar(self, item: int) -> Floats:
        """Return the similarity of each item to one (shape: items); 0 for the item itself."""

    def arrays(self) -> dict[str, Any]:
        """Return the model's arrays by name."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], items: int) -> Self:
        """Restore a model from its arrays; raises ValueError or KeyError if they do not fit."""


@dataclass(frozen=True)
class Blend:
    """The weighted mean of EASE and iALS, after standardising the scores of each."""

    name: ClassVar[str] = "blend"
    factors: Factors
    ease: Ease
    share: float  # weight of the factors, from 0 to 1

    @classmethod
    def fit(cls, interactions: Interactions, share: float = 0.7, seed: int = 0) -> Self:
        """Fit both models; raises MissingExtra if `implicit` is not installed."""
        return cls(Factors.fit(interactions, seed=seed), Ease.fit(interactions), share)

    def scores(self, items: Numbers, weights: Floats) -> Floats:
        """Return a score for each item (shape: items), for a history of `items` and `weights`."""
        return self._mean(self.factors.scores(items, weights), self.ease.scores(items, weights))

    def similar(self, item: int) -> Floats:
        """Return the similarity of each item to one (shape: items), in standard deviations."""
        alike = self._mean(self.factors.similar(item), self.ease.similar(item))
        alike[item] = 0.0
        return alike

    def _mean(self, first: Floats, second: Floats) -> Floats:
        mean: Floats = self.share * _standard(first) + (1 - self.share) * _standard(second)
        return mean

    def arrays(self) -> dict[str, Any]:
        """Return the model's arrays by name."""
        share = np.array([self.share])
        return {**self.factors.arrays(), **self.ease.arrays(), "share": share}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], items: int) -> Self:
        """Restore a model from its arrays; raises ValueError or KeyError if they do not fit."""
        share = float(arrays["share"][0])
        return cls(Factors.from_arrays(arrays, items), Ease.from_arrays(arrays, items), share)


def _standard(scores: Floats) -> Floats:
    standard: Floats = (scores - scores.mean()) / max(float(scores.std()), 1e-12)
    return standard


METHODS: Mapping[str, type[Method]] = {
    method.name: method for method in (Ease, ItemNeighbours, Factors, Blend)
}


class Similar(NamedTuple):
    """A recommended item and its score."""

    item_id: str
    score: float


@dataclass(frozen=True)
class Collaborative:
    """A fitted model with the ids of its items."""

    items: Sequence[str]
    method: Method
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the model was fitted to and how, as JSON values."""

    @cached_property
    def _places(self) -> dict[str, int]:
        return {item_id: place for place, item_id in enumerate(self.items)}

    def scores(self, history: Mapping[str, float]) -> Floats:
        """Return a score for each of `items` (shape: items), for a history of weights by item id.

        The history is folded in without fitting the model again, so the reader may be new. Unknown
        items and weights of 0 or less are ignored. If nothing is left, all scores are 0.
        """
        liked = {
            self._places[each]: weight
            for each, weight in history.items()
            if weight > 0 and each in self._places
        }
        if not liked:
            return np.zeros(len(self.items), np.float32)
        places = np.fromiter(liked, np.intp, len(liked))
        return self.method.scores(places, np.fromiter(liked.values(), np.float32, len(liked)))

    def recommend(self, history: Mapping[str, float], count: int) -> list[Similar]:
        """Return the `count` best items for a history, without the items in it."""
        if not any(weight > 0 and each in self._places for each, weight in history.items()):
            return []
        left_out = [self._places[each] for each in history if each in self._places]
        return self._best(self.scores(history), left_out, count)

    def similar(self, item_id: str, count: int) -> list[Similar]:
        """Return the `count` items most similar to one; an empty list for an unknown item."""
        place = self._places.get(item_id)
        if place is None:
            return []
        found = self._best(self.method.similar(place), [place], count)
        return [each for each in found if each.score > 0]

    def _best(self, scores: Floats, left_out: Sequence[int], count: int) -> list[Similar]:
        order = np.argsort(-scores, kind="stable")
        best = order[~np.isin(order, left_out)][:count].tolist()
        return [Similar(self.items[place], float(scores[place])) for place in best]

    def to_bytes(self) -> bytes:
        """Return the model as a NumPy archive with a JSON header."""
        header = {
            "format": _FORMAT, "version": _VERSION, "method": self.method.name,
            "items": list(self.items), "about": dict(self.about),
        }  # fmt: skip
        text = json.dumps(header, ensure_ascii=False).encode()
        archive = io.BytesIO()
        np.savez(archive, header=np.frombuffer(text, np.uint8), **self.method.arrays())
        return archive.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> "Collaborative":
        """Restore a model that `to_bytes` wrote. Nothing in it is executed.

        `name` is the model's name in errors. Raises InvalidInput if it is no such model.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            return _restored(arrays)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, OSError) as error:
            raise _refused(name, str(error)) from None
        except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError) as error:
            raise _refused(name, str(error)) from None

    def save(self, path: Path) -> None:
        """Write the model to a file, replacing an existing file atomically."""
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as file:
            file.write(self.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Collaborative":
        """Read a file that `save` wrote. Nothing in the file is executed.

        Raises InvalidInput if the file is missing, damaged or not such a model.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _refused(path.name, error.strerror or "it cannot be read") from None
        return cls.from_bytes(content, path.name)


def _restored(arrays: dict[str, Any]) -> Collaborative:
    header = json.loads(arrays.pop("header").tobytes())
    if (header["format"], header["version"]) != (_FORMAT, _VERSION):
        raise ValueError(f"it is {header['format']} {header['version']}")
    items = header["items"]
    method = METHODS[header["method"]].from_arrays(arrays, len(items))
    return Collaborative(items, method, header["about"])


def _refused(name: str, why: str) -> InvalidInput:
    return InvalidInput(
        Problem(
            "model",
            f"{name} is not a collaborative filtering model of version {_VERSION} ({why}); "
            "fit and save it again",
        )
    )


def default_method(items: int) -> str:
    """Return the name of the best installed method for this number of items."""
    can_factorize = find_spec("implicit") is not None
    if items <= MAX_DENSE_ITEMS:
        return Blend.name if can_factorize else Ease.name
    return Factors.name if can_factorize else ItemNeighbours.name


def fit(interactions: Interactions, method: str | None = None, seed: int = 0) -> Collaborative:
    """Fit a method to interactions; without `method`, the one that `default_method` names.

    Raises InvalidInput if there are no interactions, if the method is unknown or if it does not
    support as many items; MissingExtra if its library is not installed.
    """
    if not len(interactions):
        raise InvalidInput(Problem("interactions", "must not be empty: at least one is needed"))
    count = len(interactions.items)
    name = method or default_method(count)
    if name not in METHODS:
        raise InvalidInput(Problem("method", f"must be one of {', '.join(METHODS)}"))
    if name in {Ease.name, Blend.name} and count > MAX_DENSE_ITEMS:
        raise InvalidInput(
            Problem("method", f"{name} supports at most {MAX_DENSE_ITEMS} items; there are {count}")
        )
    about = {"users": interactions.users, "interactions": len(interactions), "seed": seed}
    return Collaborative(interactions.items, _fitted(name, interactions, seed), about)


def _fitted(name: str, interactions: Interactions, seed: int) -> Method:
    match name:
        case Ease.name:
            return Ease.fit(interactions)
        case ItemNeighbours.name:
            return ItemNeighbours.fit(interactions)
        case Factors.name:
            return Factors.fit(interactions, seed=seed)
        case _:
            return Blend.fit(interactions, seed=seed)
