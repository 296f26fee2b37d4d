"""Simulated readers: what they like, which is the ground truth, and how they read.

    relevance   probability that a K-Block is of interest to a reader: a logistic model of an
                additive utility, as in discrete choice (McFadden, Conditional logit analysis of
                qualitative choice behavior, 1974)
    interests   the same at a time: lower for old posts, and for K-Blocks opened before
    Habits      when readers come, how far they scroll, how long they stay, what they dismiss

A relevance depends only on the reader and the K-Block. Its random parts (a K-Block's appeal to
everybody, a reader's own opinion of it) come from a hash of the seed and the ids, so it does not
depend on the order of calls.
"""

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from harken.domain.kblock import KBlock

Floats = NDArray[np.float64]

DAY = timedelta(days=1)
FADING = "post"
"""The kind of K-Block whose interest decays with age."""
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Tastes:
    """How much each label adds to the utility of a K-Block that has it, in log-odds.

    A label that is not here adds nothing.
    """

    tags: Mapping[str, float] = field(default_factory=dict)
    authors: Mapping[str, float] = field(default_factory=dict)
    principles: Mapping[str, float] = field(default_factory=dict)
    layers: Mapping[int, float] = field(default_factory=dict)

    def utility(self, kblock: KBlock) -> float:
        """Return the sum of the utilities of a K-Block's labels, in log-odds."""
        total = sum(self.tags.get(tag, 0.0) for tag in kblock.tags)
        total += sum(self.principles.get(each, 0.0) for each in kblock.principles)
        if kblock.author is not None:
            total += self.authors.get(kblock.author, 0.0)
        if kblock.layer is not None:
            total += self.layers.get(kblock.layer, 0.0)
        return total


@dataclass(frozen=True)
class Habits:
    """The reading habits of a reader."""

    visits_per_day: float = 4.0
    """Mean of the Poisson distribution of visits on a day."""
    peak_hour: float = 19.0
    """The mean hour (UTC) of visits: the centre of a von Mises distribution over the day."""
    concentration: float = 1.0
    """The concentration of that distribution; 0 makes all hours equally likely."""
    depth: float = 15.0
    """Mean number of items scrolled past. After each item, readers continue with the same
    probability (geometric browsing: Moffat and Zobel, Rank-biased precision, 2008)."""
    words_per_second: float = 4.0
    spread: float = 0.5
    """Standard deviation of the logarithm of dwell times, which are log-normal (Yi, Hong, Zhong,
    Liu and Rajan, Beyond clicks: dwell time for personalization, 2014)."""
    engages: float = 0.8
    """A reader engages with an opened K-Block with this probability times the interest in it."""
    dislike: float = 0.02
    """A K-Block with a relevance below this annoys a reader who looks at it."""
    dismisses: float = 0.3
    """Probability that a reader dismisses an annoying K-Block."""
    rereads: float = 0.05
    """The factor on the interest in a K-Block that was opened before."""
    fades: timedelta | None = timedelta(days=3)
    """The half-life of the interest in a post: novelty decays (Wu and Huberman, Novelty and
    collective attention, 2007). With None it does not decay; other kinds of K-Block never decay."""

    def visits(self, day: datetime, rng: np.random.Generator) -> list[datetime]:
        """Draw the times of a day's visits, in order; `day` is its midnight in UTC."""
        count = rng.poisson(self.visits_per_day)
        # An angle of 0 is noon; angles range from −π to π.
        peak = (self.peak_hour / 24 - 0.5) * 2 * math.pi
        angles = rng.vonmises(peak, self.concentration, count)
        shares = (angles / (2 * math.pi) + 0.5) % 1.0
        return [day + share * DAY for share in sorted(shares.tolist())]

    def freshness(self, kblock: KBlock, at: datetime) -> float:
        """Return the share of a K-Block's initial interest that remains at a time, from 0 to 1."""
        if self.fades is None or kblock.kind != FADING or kblock.created_at is None:
            return 1.0
        return math.exp2(-max(at - kblock.created_at, timedelta()) / self.fades)

    def scrolled(self, rng: np.random.Generator) -> int:
        """Draw how many items a reader scrolls past in a visit, at least one."""
        return int(rng.geometric(1 / max(self.depth, 1.0)))

    def dwell(self, words: int, interest: float, rng: np.random.Generator) -> timedelta:
        """Draw how long a reader stays with an opened K-Block, from 1 s to 30 min.

        The median is the reading time of the words, times a factor that grows with the interest.
        """
        median = max(words, 20) / self.words_per_second * (0.2 + 0.8 * interest)
        seconds = median * math.exp(self.spread * rng.standard_normal())
        return timedelta(milliseconds=round(1000 * min(max(seconds, 1.0), 1800.0)))


@dataclass(frozen=True)
class SimulatedReader:
    """A reader with known tastes."""

    user_id: str
    cluster: int
    """The reader's cluster; readers of one cluster share tastes (see `world`)."""
    tastes: Tastes
    base: float = -2.8
    """The utility of a K-Block without labels, in log-odds."""
    habits: Habits = field(default_factory=Habits)
    seed: int = 0
    """The world's seed: all readers of a world find the same K-Blocks appealing."""
    appeal: float = 0.4
    """Standard deviation of a K-Block's appeal to everybody, apart from its labels, in log-odds."""
    opinion: float = 0.4
    """Standard deviation of this reader's own opinion of a K-Block, in log-odds."""

    def relevance(self, kblock: KBlock) -> float:
        """Return the probability that a K-Block is of interest: the ground truth."""
        utility = self.base + self.tastes.utility(kblock)
        utility += self.appeal * _normal(self.seed, kblock.id)
        utility += self.opinion * _normal(self.seed, kblock.id, self.user_id)
        return 1 / (1 + math.exp(-utility))

    def relevances(self, kblocks: Iterable[KBlock]) -> Floats:
        """Return the relevance of each K-Block (shape: K-Blocks)."""
        return np.array([self.relevance(kblock) for kblock in kblocks], np.float64)

    def interests(
        self, kblocks: Sequence[KBlock], at: datetime, opened: Collection[str] = ()
    ) -> Floats:
        """Return the probability that each K-Block is of interest at a time (shape: K-Blocks).

        It is the relevance, reduced by age, and reduced much more for the ids in `opened`: the
        K-Blocks that the reader opened before.
        """
        again = np.array([kblock.id in opened for kblock in kblocks], bool)
        kept = np.array([self.habits.freshness(kblock, at) for kblock in kblocks], np.float64)
        return self.relevances(kblocks) * kept * np.where(again, self.habits.rereads, 1.0)

    def is_put_off(self, kblock: KBlock, rng: np.random.Generator) -> bool:
        """Draw whether a reader dismisses a K-Block that they looked at and did not open."""
        annoys = self.relevance(kblock) < self.habits.dislike
        return annoys and rng.random() < self.habits.dismisses


def _normal(seed: int, *names: str) -> float:
    """Return a standard normal number that depends only on a seed and names."""
    text = "\x00".join((str(seed), *names)).encode()
    bits = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())
    return _NORMAL.inv_cdf(((bits >> 12) + 0.5) / 2**52)
