"""The parts of the personal score: how each is computed from what is known at a time.

`score_parts` has their names and weights. Times are in seconds since 1970.
"""

from typing import NamedTuple

import numpy as np

from harken.services.readers.co_engagement import (
    CandidateReaders,
    CoEngagements,
    Floats,
    Numbers,
)
from harken.services.readers.history import HistoryColumns
from harken.services.readers.item_attributes import ItemAttributes
from harken.services.readers.recent_readers import RecentReaders
from harken.services.texts.taste import Taste, taste_of
from harken.services.texts.vectors import TextVectors

DAY = 86_400.0

# What counts little within logarithms: the activity of one reader three months ago, a share of
# 2 % in common with a stranger, a cosine of 0.1 without common readers.
_LEAST_ACTIVITY = 1e-4
_STRANGER = 0.02
_UNRELATED = 0.1
_FRESH = 300.0  # differences of age well below this hardly change a score
_PRIOR = 5.0  # the weight of the prior, in interactions or K-Blocks
_LIKED = 2.0  # a worth of so much, that of a like, is a full label of a text


class PersonalParts(NamedTuple):
    """The state that the parts are computed from, and the two scales of time.

    A reader counts half in `recent_activity` after `activity_scale` seconds, and an interaction
    counts half in a profile after `half_life` days.
    """

    attributes: ItemAttributes
    recent_readers: RecentReaders
    texts: TextVectors
    activity_scale: float
    half_life: float

    def of_everybody(self, candidate_readers: CandidateReaders, ages: Floats) -> dict[str, Floats]:
        """Return the parts that are the same for every reader; `ages` in seconds, by candidate.

        Activity is the sum of 1 / (1 + t/τ) over distinct readers, each of whom read it t seconds
        ago. The reader themselves is not among `candidate_readers`, so their own reading does not
        raise a score.
        """
        activity = candidate_readers.sum(1 / (1 + candidate_readers.ages / self.activity_scale))
        return {
            "recent_activity": np.log1p(activity / _LEAST_ACTIVITY),
            "freshness": -np.log1p(ages / _FRESH),
        }

    def of_similar_readers(
        self,
        known: HistoryColumns,
        candidate_readers: CandidateReaders,
        co_engagements: CoEngagements,
        now: float,
    ) -> dict[str, Floats]:
        """Compare a reader with the recent readers of each K-Block.

        `user_similarity` is the mean, over the readers of a K-Block, of the share of what they
        like that this reader likes too: the asymmetric cosine, which does not favour readers of
        many K-Blocks (Aiolli, Efficient top-N recommendation for very large scale binary rated
        datasets, RecSys 2013). `co_engagement` and `dismissed_similarity` are cosines between
        K-Blocks, by their readers.
        """
        decay = self.decay(known.last, now)
        scale_of_own = 1 / np.sqrt(
            self.recent_readers.count(self.attributes.rows(known.places)) + 1
        )
        last = np.zeros(len(scale_of_own))
        last[-1:] = scale_of_own[-1:]
        breadth = self.recent_readers.breadth(candidate_readers.people) + _PRIOR
        similarity = candidate_readers.sum_of_people(
            co_engagements.sum_of_sources(decay * (known.worth > 0)) / breadth
        )
        near = candidate_readers.sum_of_people(co_engagements.sum_of_sources(last))
        far = np.zeros(candidate_readers.kblocks)
        if (disliked := known.worth < 0).any():
            far = candidate_readers.sum_of_people(
                co_engagements.sum_of_sources(scale_of_own * decay * disliked)
            )
        readers = candidate_readers.readers + 1
        scale = np.sqrt(readers)
        return {
            "user_similarity": np.log((similarity + _STRANGER) / readers / _STRANGER),
            "co_engagement": np.log1p(near / scale / _UNRELATED),
            "dismissed_similarity": -np.log1p(far / scale / _UNRELATED),
        }

    def of_contents(
        self, known: HistoryColumns, taste: Taste | None, places: Numbers, now: float
    ) -> dict[str, Floats]:
        """Return this reader's affinities to the labels of each K-Block, and to its text."""
        found = self.attributes.means(places, *self.affinities(known, now))
        found["text"] = np.zeros(len(places))
        if taste is not None:
            found["text"] = self.texts.project(taste.terms, self.attributes.texts(places))
        return found

    def of_own_history(
        self, known: HistoryColumns, places: Numbers, appeared: Floats
    ) -> dict[str, Floats]:
        """Return the parts about K-Blocks that the reader touched, or passed over for others."""
        passed = len(known.first) - np.searchsorted(np.sort(known.first), appeared)
        seen = self.attributes.among(places, known.places)
        return {
            "passed_over": -np.log1p(passed.astype(np.float64)),
            "already_seen": -seen.astype(np.float64),
        }

    def affinities(self, known: HistoryColumns, now: float) -> tuple[Numbers, Floats]:
        """Return labels and a reader's affinities to them: net / (gross + 5) of the interactions.

        Both sums decay by the half-life. The prior of 5 keeps affinities from few interactions
        small.
        """
        worth = known.worth * self.decay(known.last, now)
        return self.attributes.affinities(known.places, worth, _PRIOR)

    def taste(self, known: HistoryColumns, now: float) -> Taste | None:
        """Return a reader's taste in words; None if nothing they liked or dismissed has a text."""
        labels = np.clip(known.worth / _LIKED, -1.0, 1.0) * self.decay(known.last, now)
        return taste_of(self.texts, self.attributes.texts(known.places), labels)

    def decay(self, last: Floats, now: float) -> Floats:
        """Return the factors by which interactions at some times count now."""
        ages = np.maximum(now - last, 0.0)
        factors: Floats = np.exp2(-ages / (self.half_life * DAY))
        return factors

    def candidate_readers(self, places: Numbers, me: int, now: float) -> CandidateReaders:
        """Return the recent readers of candidates, without the reader with the number `me`."""
        return self.recent_readers.candidate_readers(self.attributes.rows(places), now, me)

    def co_engagements(
        self, known: HistoryColumns, candidate_readers: CandidateReaders, now: float
    ) -> CoEngagements:
        """Return the co-engagements of candidates' readers with a reader's own K-Blocks."""
        sources = self.attributes.rows(known.places)
        return self.recent_readers.co_engagements(candidate_readers, sources, now)
