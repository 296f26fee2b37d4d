"""What `Affinities` returns: the scores of K-Blocks for a reader, and the reader's profile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from harken.services.readers.co_engagement import Floats, Numbers


@dataclass(frozen=True)
class AffinityScores:
    """Scores of some K-Blocks: `total` is the sum of `parts` times `weights`, in that order.

    `shares` is the share of its weight that each part has by the evidence for it.
    """

    total: Floats
    parts: Mapping[str, Floats]
    weights: Mapping[str, float]
    shares: Mapping[str, float]
    is_personal: bool

    def at(self, indices: Numbers) -> "AffinityScores":
        """Return the scores at some indices."""
        parts = {name: part[indices] for name, part in self.parts.items()}
        return replace(self, total=self.total[indices], parts=parts)


class SimilarReader(NamedTuple):
    """A reader with similar interests; the similarity is the cosine of what both like, 0 to 1."""

    user_id: str
    similarity: float


@dataclass(frozen=True)
class ReaderProfile:
    """The interests of a reader. Affinities are from -1 (dismissed) to 1 (liked).

    `pace` is the reader's dwell time over that of an average reader for the same words;
    `typical_dwell` is in seconds.
    """

    interactions: int
    is_personal: bool
    tags: Mapping[str | int, float]
    authors: Mapping[str | int, float]
    principles: Mapping[str | int, float]
    layers: Mapping[str | int, float]
    folders: Mapping[str | int, float]
    sources: Mapping[str | int, float]
    neighbours: Sequence[SimilarReader]
    pace: float
    typical_dwell: float
