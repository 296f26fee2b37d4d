"""Directions of K-Blocks, by who touches them: those of readers of one taste point the same way.

Random indexing (Kanerva, Kristoferson and Holst, Random indexing of text samples for latent
semantic analysis, CogSci 2000): each K-Block begins in a direction of its own, and each reader who
comes to it draws it towards what they liked before. So two of them may be near without a reader in
common. What all have in common is taken out, or everything would point the same way.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harken.services.features.traces import Floats, Numbers

Vectors = NDArray[np.float32]

WIDTH = 64
"""Numbers in a direction: 256 bytes for a K-Block."""
LIKED = 32
"""The taste of a reader is made of so many of the last K-Blocks that they liked."""

_DECAY = 0.98 ** np.arange(LIKED)
_RATE = 0.002
_FIRST = 64


class Directions:
    """A direction for each K-Block, by its place; an event is added in constant time."""

    def __init__(self) -> None:
        self._unit: Vectors = np.zeros((_FIRST, WIDTH), np.float32)
        self._length = np.zeros(_FIRST)
        self._usual = np.zeros(WIDTH)  # of the K-Blocks that are touched
        self._usual_taste = np.zeros(WIDTH)

    def see(self, place: int, kblock_id: str, liked: Sequence[int] | None) -> None:
        """Add an event on a K-Block.

        `liked` are the places of what its reader liked before, the latest first; None if the event
        is no reader's first view or engagement.
        """
        while place >= len(self._unit):
            self._unit = np.concatenate([self._unit, np.zeros_like(self._unit)])
            self._length = np.concatenate([self._length, np.zeros_like(self._length)])
        if not self._length[place]:
            self._unit[place], self._length[place] = _own_direction(kblock_id), 1.0
        if liked is None:
            return
        own = self._unit[place].astype(np.float64)
        taste = self._taste(liked)
        if taste.any():
            self._usual_taste += _RATE * (taste - self._usual_taste)
            self._draw(place, own, _scaled(taste - self._usual_taste))
        self._usual += _RATE * (own - self._usual)

    def _draw(self, place: int, own: Floats, towards: Floats) -> None:
        drawn = own * self._length[place] + towards
        length = float(np.sqrt(drawn @ drawn))
        if length > 0:
            self._unit[place], self._length[place] = drawn / length, length

    def _taste(self, liked: Sequence[int]) -> Floats:
        """Return the direction of what somebody likes, without what all have in common."""
        units, known = self._of(np.array(liked[:LIKED], np.intp))
        if not len(units):
            return np.zeros(WIDTH)
        weights = _DECAY[: len(units)] * known * self._per_length(units @ self._usual)
        return _scaled(weights @ units - weights.sum() * self._usual)

    def _of(self, places: Numbers) -> tuple[Vectors, NDArray[np.bool_]]:
        """Return the directions of K-Blocks, and whether there is one."""
        places = np.where(places < len(self._unit), places, 0)
        return self._unit.take(places, axis=0), self._length.take(places) > 0

    def _per_length(self, with_usual: Floats) -> Floats:
        """Return 1 / |u - c|, by u · c, where c is what all directions u have in common.

        As u has the length 1, |u - c|² is 1 - 2 u·c + |c|²: the vectors need not be looked at.
        """
        squares = 1 - 2 * with_usual + self._usual @ self._usual
        per_length: Floats = 1 / np.sqrt(np.maximum(squares, 1e-12))
        return per_length

    def cosines(
        self, places: Numbers, liked: Sequence[int], others: Numbers
    ) -> tuple[Floats, Floats]:
        """Return how near K-Blocks are to a taste, and to other K-Blocks: from -1 to 1.

        The taste is that of who likes what is at the places `liked`, the latest first. The shapes
        are places, and places × others.
        """
        taste, usual = self._taste(liked), self._usual
        units, known = self._of(places)
        of_others, are_known = self._of(others)
        asked = np.vstack([taste, usual, of_others]).astype(np.float32)
        with_taste, with_usual, *rest = (units @ asked.T).astype(np.float64).T
        here = known * self._per_length(with_usual)
        others_with_usual = of_others @ usual
        there = are_known * self._per_length(others_with_usual)
        both = np.reshape(rest, (len(others), len(places))).T
        both = both - with_usual[:, None] - others_with_usual + usual @ usual
        return (with_taste - taste @ usual) * here, both * here[:, None] * there


def _own_direction(kblock_id: str) -> Floats:
    """Return a corner of a cube, at random by the id: the same wherever a log is read."""
    drawn = blake2b(kblock_id.encode(), digest_size=WIDTH // 8).digest()
    bits: Any = np.unpackbits(np.frombuffer(drawn, np.uint8)).astype(np.float64)
    return np.asarray((bits * 2 - 1) / np.sqrt(WIDTH))


def _scaled(vectors: Floats) -> Floats:
    """Return vectors of length 1 in the same directions; zeros stay zeros."""
    lengths = np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))
    scaled: Floats = vectors / np.maximum(lengths, 1e-12)
    return scaled
