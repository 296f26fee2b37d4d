"""Collaborative filtering: what readers like, by what readers of the same like.

Three methods, one protocol, and a blend of two. Which is taken is said at `choose`, and measured
in docs/collaborative.md. A model is fitted once; a reader's present history is folded in whenever
they ask. Everything is settled by its input and its seed.
"""

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

MOST_DENSE = 10_000
"""Up to how many items a model may have a number for each pair."""

_FORMAT = "harken.collaborative"
_VERSION = 1


class Method(Protocol):
    """What was fitted to interactions, by the places of items."""

    name: ClassVar[str]

    def scores(self, items: Numbers, weights: Floats) -> Floats:
        """Score every item for somebody who likes some, by weights; nothing is fitted anew."""

    def similar(self, item: int) -> Floats:
        """Say of every item how alike it is to one; itself 0."""

    def arrays(self) -> dict[str, Any]:
        """Return what it consists of, by name."""

    @classmethod
    def of(cls, arrays: Mapping[str, Any], items: int) -> Self:
        """Return what consists of these; raises ValueError or KeyError."""


@dataclass(frozen=True)
class Blend:
    """The mean of EASE and iALS, after the scores of each were standardised."""

    name: ClassVar[str] = "blend"
    factors: Factors
    ease: Ease
    share: float  # of the factors

    @classmethod
    def fit(cls, known: Interactions, share: float = 0.7, seed: int = 0) -> Self:
        """Fit both; raises MissingExtra."""
        return cls(Factors.fit(known, seed=seed), Ease.fit(known), share)

    def scores(self, items: Numbers, weights: Floats) -> Floats:
        """Score every item for somebody who likes some, by weights."""
        return self._mean(self.factors.scores(items, weights), self.ease.scores(items, weights))

    def similar(self, item: int) -> Floats:
        """Say of every item how alike it is, in standard deviations."""
        alike = self._mean(self.factors.similar(item), self.ease.similar(item))
        alike[item] = 0.0
        return alike

    def _mean(self, first: Floats, second: Floats) -> Floats:
        mean: Floats = self.share * _standard(first) + (1 - self.share) * _standard(second)
        return mean

    def arrays(self) -> dict[str, Any]:
        """Return what it consists of, by name."""
        share = np.array([self.share])
        return {**self.factors.arrays(), **self.ease.arrays(), "share": share}

    @classmethod
    def of(cls, arrays: Mapping[str, Any], items: int) -> Self:
        """Return what consists of these; raises ValueError or KeyError."""
        share = float(arrays["share"][0])
        return cls(Factors.of(arrays, items), Ease.of(arrays, items), share)


def _standard(scores: Floats) -> Floats:
    standard: Floats = (scores - scores.mean()) / max(float(scores.std()), 1e-12)
    return standard


METHODS: Mapping[str, type[Method]] = {
    method.name: method for method in (Ease, ItemNeighbours, Factors, Blend)
}


class Similar(NamedTuple):
    """An item, and how much it is suggested."""

    item_id: str
    score: float


@dataclass(frozen=True)
class Collaborative:
    """A fitted method, and the ids of what it is about."""

    items: Sequence[str]
    method: Method
    about: Mapping[str, Any] = field(default_factory=dict)
    """What it was fitted to and how, as JSON."""

    @cached_property
    def _places(self) -> dict[str, int]:
        return {item_id: place for place, item_id in enumerate(self.items)}

    def scores(self, history: Mapping[str, float]) -> Floats:
        """Score every one of `items` for a reader's present history: weights by ids.

        The history is folded in; nothing is fitted anew, and the reader need not be one of those
        it was fitted to. What is not among the items, and weights that are not above 0, say
        nothing. Of a history that says nothing all scores are 0.
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
        """Return what suits a history most, apart from what is in it."""
        if not any(weight > 0 and each in self._places for each, weight in history.items()):
            return []
        left_out = [self._places[each] for each in history if each in self._places]
        return self._best(self.scores(history), left_out, count)

    def similar(self, item_id: str, count: int) -> list[Similar]:
        """Return what is most alike to an item; nothing for one that is not known."""
        place = self._places.get(item_id)
        if place is None:
            return []
        found = self._best(self.method.similar(place), [place], count)
        return [each for each in found if each.score > 0]

    def _best(self, scores: Floats, left_out: Sequence[int], count: int) -> list[Similar]:
        order = np.argsort(-scores, kind="stable")
        best = order[~np.isin(order, left_out)][:count].tolist()
        return [Similar(self.items[place], float(scores[place])) for place in best]

    def save(self, path: Path) -> None:
        """Write a NumPy archive with a header of JSON; a file that was there is replaced whole."""
        header = {
            "format": _FORMAT, "version": _VERSION, "method": self.method.name,
            "items": list(self.items), "about": dict(self.about),
        }  # fmt: skip
        text = json.dumps(header, ensure_ascii=False).encode()
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as file:
            arrays = self.method.arrays()
            np.savez(file, header=np.frombuffer(text, np.uint8), **arrays)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Collaborative":
        """Read what `save` wrote; nothing in the file is executed.

        Raises InvalidInput, for a file that is missing, damaged or of something else.
        """
        try:
            # Opened here, since NumPy leaves it open where it is no archive.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            return _restored(arrays)
        except OSError as error:
            raise _refused(path, error.strerror or "it cannot be read") from None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError) as error:
            raise _refused(path, str(error)) from None
        except (zipfile.BadZipFile, zipfile.LargeZipFile) as error:
            raise _refused(path, str(error)) from None


def _restored(arrays: dict[str, Any]) -> Collaborative:
    header = json.loads(arrays.pop("header").tobytes())
    if (header["format"], header["version"]) != (_FORMAT, _VERSION):
        raise ValueError(f"it is {header['format']} {header['version']}")
    items = header["items"]
    method = METHODS[header["method"]].of(arrays, len(items))
    return Collaborative(items, method, header["about"])


def _refused(path: Path, why: str) -> InvalidInput:
    return InvalidInput(
        Problem(
            "model",
            f"{path.name} is no model of collaborative filtering, version {_VERSION} ({why}); "
            "fit and save it again",
        )
    )


def choose(items: int) -> str:
    """Return the name of the best method for so many items, with what is installed."""
    can_factorize = find_spec("implicit") is not None
    if items <= MOST_DENSE:
        return Blend.name if can_factorize else Ease.name
    return Factors.name if can_factorize else ItemNeighbours.name


def fit(known: Interactions, method: str | None = None, seed: int = 0) -> Collaborative:
    """Fit a method (else the one that `choose` names) to interactions.

    Raises InvalidInput for nothing to fit to, for a method that is not known, and for one that
    takes too much room; MissingExtra where the library is not installed.
    """
    if not len(known):
        raise InvalidInput(Problem("interactions", "are none; there has to be one at least"))
    count = len(known.items)
    name = method or choose(count)
    if name not in METHODS:
        raise InvalidInput(Problem("method", f"must be one of {', '.join(METHODS)}"))
    if name in {Ease.name, Blend.name} and count > MOST_DENSE:
        raise InvalidInput(
            Problem("method", f"{name} takes at most {MOST_DENSE} items; these are {count}")
        )
    about = {"users": known.users, "interactions": len(known), "seed": seed}
    return Collaborative(known.items, _fitted(name, known, seed), about)


def _fitted(name: str, known: Interactions, seed: int) -> Method:
    match name:
        case Ease.name:
            return Ease.fit(known)
        case ItemNeighbours.name:
            return ItemNeighbours.fit(known)
        case Factors.name:
            return Factors.fit(known, seed=seed)
        case _:
            return Blend.fit(known, seed=seed)
