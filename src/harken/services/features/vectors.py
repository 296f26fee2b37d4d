"""Directions of K-Blocks, by who touches them: what is near was touched by readers of one taste.

Random indexing (Kanerva, Kristoferson and Holst, Random indexing of text samples for latent
semantic analysis, CogSci 2000): each K-Block begins in a direction of its own, and each reader who
comes to it draws it towards what they liked before. So two of them may be near without a reader
in common. What all have in common is taken out, or everything would point the same way.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from harken.services.features.traces import Floats, Matrix, Numbers

WIDTH = 64
LIKED = 32
"""How many of the last K-Blocks that a reader liked their taste is made of."""
_FADING = 0.98 ** np.arange(LIKED)
_RATE = 0.002
_FIRST = 64


class Vectors:
    """A vector for each K-Block, by its place; an event takes constant time."""

    def __init__(self) -> None:
        self._sums = np.zeros((_FIRST, WIDTH), np.float32)
        self._usual = np.zeros(WIDTH)  # of K-Blocks that are touched
        self._usual_taste = np.zeros(WIDTH)

    def see(self, place: int, kblock_id: str, liked: Sequence[int] | None) -> None:
        """Take up a touch; `liked` is what its reader had liked, latest first, if it counts."""
        while place >= len(self._sums):
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
        if not self._sums[place].any():
            self._sums[place] = _own_direction(kblock_id)
        if liked is None:
            return
        own = _unit(self._sums[place].astype(np.float64))
        taste = self.taste(liked)
        if taste.any():
            self._usual_taste += _RATE * (taste - self._usual_taste)
            self._sums[place] += _unit(taste - self._usual_taste)
        self._usual += _RATE * (own - self._usual)

    def of(self, places: Numbers) -> Matrix:
        """Return the directions of some K-Blocks; zeros where nothing was seen of one."""
        known = _unit(self._sums[np.where(places < len(self._sums), places, 0)])
        is_known: Any = known.any(axis=1, keepdims=True)
        return np.asarray(_unit((known - self._usual.astype(np.float32)) * is_known))

    def taste(self, liked: Sequence[int]) -> Matrix:
        """Return the direction of what somebody liked, the latest first."""
        places = np.array(liked[:LIKED], np.intp)
        return np.asarray(_unit(_FADING[: len(places)] @ self.of(places)), np.float32)


def _own_direction(kblock_id: str) -> Floats:
    """Return a random corner of a cube; by the id, so it is the same wherever a log is read."""
    drawn = blake2b(kblock_id.encode(), digest_size=WIDTH // 8).digest()
    bits: Any = np.unpackbits(np.frombuffer(drawn, np.uint8)).astype(np.float64)
    return np.asarray((bits * 2 - 1) / np.sqrt(WIDTH))


def _unit(vectors: Any) -> Any:
    lengths = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
    return vectors / np.maximum(lengths, 1e-12)
