"""Simulated readers: what they like, which is the ground truth, and how they read.

    relevance   probability that a K-Block is of interest to a reader: a logistic model of utility
                that adds up, as in discrete choice (McFadden, Conditional logit analysis of
                qualitative choice behavior, 1974)
    interests   the same at a time: less for what is old, and for what was opened before
    Habits      when they come, how far they scroll, how long they stay, what annoys them

A relevance is a function of the reader and the K-Block alone. It draws nothing: what looks like
chance in it (a K-Block's appeal to everybody, a reader's own opinion of it) comes from a hash of
the seed and the ids. So it is the same in whichever order it is asked for.
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
"""The kind of K-Block that is of less interest the older it is."""
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
        """Add up what the labels of a K-Block are worth."""
        total = sum(self.tags.get(tag, 0.0) for tag in kblock.tags)
        total += sum(self.principles.get(each, 0.0) for each in kblock.principles)
        if kblock.author is not None:
            total += self.authors.get(kblock.author, 0.0)
        if kblock.layer is not None:
            total += self.layers.get(kblock.layer, 0.0)
        return total


@dataclass(frozen=True)
class Habits:
    """How a reader reads."""

    visits_per_day: float = 4.0
    """Mean of a Poisson distribution."""
    peak_hour: float = 19.0
    """The hour (UTC) around which visits lie, by a von Mises distribution on the clock's face."""
    concentration: float = 1.0
    """Of that distribution; 0 is any hour alike."""
    depth: float = 15.0
    """Items scrolled past, in the mean: after each, readers go on with the same probability
    (geometric browsing: Moffat and Zobel, Rank-biased precision, 2008)."""
    words_per_second: float = 4.0
    spread: float = 0.5
    """Standard deviation of the logarithm of dwell times, which are log-normal (Yi, Hong, Zhong,
    Liu and Rajan, Beyond clicks: dwell time for personalization, 2014)."""
    engages: float = 0.8
    """Of what was opened, this times the interest in it is engaged with."""
    dislike: float = 0.02
    """A relevance under which a K-Block annoys who looks at it."""
    dismisses: float = 0.3
    """Probability that what annoys is dismissed."""
    rereads: float = 0.05
    """What remains of the interest in a K-Block that was opened before."""
    fades: timedelta | None = timedelta(days=3)
    """After which time the interest in a post is half of what it was: novelty decays (Wu and
    Huberman, Novelty and collective attention, 2007). With None it does not; other kinds of K-Block
    are timeless."""

    def visits(self, day: datetime, rng: np.random.Generator) -> list[datetime]:
        """Draw the times of a day's visits, in order; `day` is its midnight in UTC."""
        count = rng.poisson(self.visits_per_day)
        # An angle of 0 is the middle of the clock's face; the range is that of the distribution.
        peak = (self.peak_hour / 24 - 0.5) * 2 * math.pi
        angles = rng.vonmises(peak, self.concentration, count)
        shares = (angles / (2 * math.pi) + 0.5) % 1.0
        return [day + share * DAY for share in sorted(shares.tolist())]

    def freshness(self, kblock: KBlock, at: datetime) -> float:
        """Return what remains at a time of the interest that a K-Block had when it was made."""
        if self.fades is None or kblock.kind != FADING or kblock.created_at is None:
            return 1.0
        return math.exp2(-max(at - kblock.created_at, timedelta()) / self.fades)

    def scrolled(self, rng: np.random.Generator) -> int:
        """Draw how many items a reader scrolls past in a visit, at least one."""
        return int(rng.geometric(1 / max(self.depth, 1.0)))

    def dwell(self, words: int, interest: float, rng: np.random.Generator) -> timedelta:
        """Draw how long a reader stays with what they opened, 1 s to 30 min.

        The median is what the words take, times a share that grows with the interest.
        """
        median = max(words, 20) / self.words_per_second * (0.2 + 0.8 * interest)
        seconds = median * math.exp(self.spread * rng.standard_normal())
        return timedelta(milliseconds=round(1000 * min(max(seconds, 1.0), 1800.0)))


@dataclass(frozen=True)
class SimulatedReader:
    """A reader whose tastes are known."""

    user_id: str
    cluster: int
    """Which readers they are like; see `harken.services.simulation.world`."""
    tastes: Tastes
    base: float = -2.8
    """The utility of a K-Block without labels, in log-odds."""
    habits: Habits = field(default_factory=Habits)
    seed: int = 0
    """That of the world: all readers of one world find the same K-Blocks appealing."""
    appeal: float = 0.4
    """Standard deviation of what everybody thinks of a K-Block whatever its labels, in log-odds."""
    opinion: float = 0.4
    """The same of what this reader alone thinks of it."""

    def relevance(self, kblock: KBlock) -> float:
        """Return the probability that a K-Block is of interest: the ground truth."""
        utility = self.base + self.tastes.utility(kblock)
        utility += self.appeal * _normal(self.seed, kblock.id)
        utility += self.opinion * _normal(self.seed, kblock.id, self.user_id)
        return 1 / (1 + math.exp(-utility))

    def relevances(self, kblocks: Iterable[KBlock]) -> Floats:
        """Return the relevance of each K-Block."""
        return np.array([self.relevance(kblock) for kblock in kblocks], np.float64)

    def interests(
        self, kblocks: Sequence[KBlock], at: datetime, opened: Collection[str] = ()
    ) -> Floats:
        """Return the probability that each K-Block is of interest at a time.

        That is its relevance, less what has faded, and less by far if it is one of `opened`, which
        are the ids of what was opened before.
        """
        again = np.array([kblock.id in opened for kblock in kblocks], bool)
        kept = np.array([self.habits.freshness(kblock, at) for kblock in kblocks], np.float64)
        return self.relevances(kblocks) * kept * np.where(again, self.habits.rereads, 1.0)

    def is_put_off(self, kblock: KBlock, rng: np.random.Generator) -> bool:
        """Draw whether a reader dismisses what they looked at and did not open."""
        annoys = self.relevance(kblock) < self.habits.dislike
        return annoys and rng.random() < self.habits.dismisses


def _normal(seed: int, *names: str) -> float:
    """Return a standard normal number that is settled by a seed and names."""
    text = "\x00".join((str(seed), *names)).encode()
    bits = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())
    return _NORMAL.inv_cdf(((bits >> 12) + 0.5) / 2**52)
