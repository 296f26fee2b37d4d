"""Directions of K-Blocks, in plain loops over lists: to compare with those that are kept up."""

from collections.abc import Sequence
from hashlib import blake2b
from math import sqrt

WIDTH = 64

Vector = Sequence[float]


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def scaled(vector: Vector) -> Vector:
    length = sqrt(dot(vector, vector))
    return [x / length for x in vector] if length else vector


def less(a: Vector, b: Vector, times: float = 1.0) -> Vector:
    return [x - times * y for x, y in zip(a, b, strict=True)]


class RawDirections:
    """What `Directions` says, by id."""

    def __init__(self) -> None:
        self.sums: dict[str, Vector] = {}
        self.usual: Vector = [0.0] * WIDTH
        self.usual_taste: Vector = [0.0] * WIDTH

    def see(self, kblock: str, liked: Sequence[str] | None) -> None:
        drawn = int.from_bytes(blake2b(kblock.encode(), digest_size=8).digest(), "big")
        bits = [drawn >> (WIDTH - 1 - n) & 1 for n in range(WIDTH)]
        own = scaled(self.sums.setdefault(kblock, [(2 * bit - 1) / 8 for bit in bits]))
        if liked is None:
            return
        taste = self.taste(liked)
        if any(taste):
            self.usual_taste = less(self.usual_taste, less(self.usual_taste, taste), 0.002)
            drawn_to = scaled(less(taste, self.usual_taste))
            self.sums[kblock] = less(self.sums[kblock], drawn_to, -1)
        self.usual = less(self.usual, less(self.usual, own), 0.002)

    def of(self, kblock: str) -> Vector:
        known = self.sums.get(kblock)
        return [0.0] * WIDTH if known is None else scaled(less(scaled(known), self.usual))

    def taste(self, liked: Sequence[str]) -> Vector:
        total: Vector = [0.0] * WIDTH
        for n, each in enumerate(liked):
            total = less(total, self.of(each), -(0.98**n))
        return scaled(total)
