"""Features of a reader and candidates, as of a time: one definition for training and serving.

`Features` sees events in the order of time. Asked, it knows what it saw and nothing else, so its
answers are those of a point in time. Each feature belongs to a family; all are finite numbers.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harken.domain.feedback import GUEST, FeedbackAction
from harken.services.features.measures import (
    LONG_AGO,
    PRIOR,
    SESSION,
    Visit,
    ago,
    ranks_of,
    usual_of,
    visit_of,
)
from harken.services.features.names import FADING, LATEST, NAMES, RANKED, STEPS, WINDOWS, named
from harken.services.features.traces import (
    DAY,
    HALF_LIVES,
    HOUR,
    MINUTE,
    STEP,
    Floats,
    Matrix,
    Numbers,
    Traces,
)
from harken.services.readers.affinities import PARTS, Affinities
from harken.services.readers.co_engagement import ANYBODY, CandidateReaders, CoEngagements
from harken.services.readers.history import MICROS, HistoryColumns, ReaderHistory, Touch


class Features:
    """The state that features are made of; `tastes` may be shared, if nobody else feeds it."""

    def __init__(self, affinities: Affinities | None = None) -> None:
        self.affinities = affinities or Affinities()
        self._traces = Traces()
        self._crowd = np.zeros(2)  # touches by named readers, faded over 10 min; as of when

    def see(self, touch: Touch) -> None:
        """Take up an event."""
        self.trace(touch)
        self.affinities.observe(touch)

    def trace(self, touch: Touch, *, is_recalled: bool = False) -> None:
        """Take up what an event says beyond tastes; `is_recalled` where these know of it already.

        That is an event that was read with its reader's last ones before it came along by itself.
        """
        place, at = self.affinities.place(touch.kblock_id), touch.at / MICROS
        reader = self.affinities.history(touch.user_id)
        before, is_first = None, touch.user_id != GUEST
        if reader is not None and len(reader):
            known = reader.get(touch.kblock_id)
            is_first = known is None or (is_recalled and known.first >= at)
            last = reader.last
            if last.place != place and abs(at - last.last) < STEP:
                before = last.place
        self._traces.see(touch, place, before, is_first=is_first)
        self._note(touch)

    def _note(self, touch: Touch) -> None:
        if touch.action in {FeedbackAction.VIEW, FeedbackAction.ENGAGE}:
            at = max(touch.at / MICROS, self._crowd[1])
            faded = self._crowd[0] * np.exp2((self._crowd[1] - at) / (10 * MINUTE))
            self._crowd[:] = faded + 1, at

    def matrix(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Matrix:
        """Return the features of candidates, a row for each; `now` in microseconds since 1970."""
        places = self.affinities.attributes.places(kblock_ids, len(kblock_ids))
        return self.matrix_at(user_id, places, now)

    def matrix_at(self, user_id: str, places: Numbers, now: int) -> Matrix:
        """Return them of candidates that are given by their places in `tastes`."""
        seconds, attributes, recent_readers = (
            now / MICROS,
            self.affinities.attributes,
            self.affinities.recent_readers,
        )
        reader = self.affinities.history(user_id) or ReaderHistory(ANYBODY, 1)
        known = reader.columns
        candidate_readers = recent_readers.candidate_readers(
            attributes.rows(places), seconds, reader.number
        )
        co_engagements = recent_readers.co_engagements(
            candidate_readers, attributes.rows(known.places), seconds
        )
        appeared = np.minimum(attributes.appeared(places), seconds)
        visit = visit_of(np.concatenate([known.first, known.last]), seconds)
        others = self._others(known.places, reader.number, seconds)
        found = self._taste(user_id, places, candidate_readers, co_engagements, now)
        found |= self._clocks(places, candidate_readers, appeared, seconds)
        found |= self._kin(known, candidate_readers, co_engagements, visit, seconds)
        found |= self._threads(known, candidate_readers, co_engagements, visit, seconds)
        found |= self._steps(known, places)
        found |= self._habit(known, candidate_readers, appeared, visit, seconds)
        found |= self._reader(known, visit, seconds, len(places))
        found |= self._sources(known, places)
        found |= self._beside(known, places, appeared, candidate_readers, others, seconds)
        found |= self._company(known, candidate_readers, others, seconds)
        return _assembled(found, len(places))

    def _taste(
        self,
        user_id: str,
        places: Numbers,
        candidate_readers: CandidateReaders,
        co_engagements: CoEngagements,
        now: int,
    ) -> dict[str, Any]:
        """Return what the personal score is made of, and the score."""
        if self.affinities.is_known(user_id):
            scored = self.affinities.score_candidates(
                user_id, places, candidate_readers, now, co_engagements
            )
        else:  # of whom too little is known counts among the crowd
            scored = self.affinities.score_places(user_id, places, now)
        return {name: scored.parts[name] for name in PARTS} | {"total": scored.total}

    def _clocks(
        self, places: Numbers, candidate_readers: CandidateReaders, appeared: Floats, now: float
    ) -> dict[str, Any]:
        """Say what everybody does: how new it is, how long ago it was touched and how often."""
        traces = self._traces
        found: dict[str, Any] = {"age": ago(now - appeared)}
        latest = enumerate(candidate_readers.latest(LATEST))
        found |= {f"since_{n + 1}": ago(ages) for n, ages in latest}
        view, engage = traces.last(places)
        found |= {"since_view": ago(now - view), "since_engage": ago(now - engage)}
        found |= {
            f"readers_{name}": candidate_readers.sum(candidate_readers.ages <= window)
            for name, window in WINDOWS.items()
        }
        names = [f"{kind}_{named(h)}" for kind, each in HALF_LIVES.items() for h in each]
        found |= zip(names, traces.sums(places, now), strict=True)
        found |= zip([f"{kind}_ever" for kind in HALF_LIVES], traces.counts(places), strict=True)
        found["burst_narrow"] = candidate_readers.sum(1 / (candidate_readers.ages + 300))
        return found

    def _kin(
        self,
        known: HistoryColumns,
        candidate_readers: CandidateReaders,
        co_engagements: CoEngagements,
        visit: Visit,
        now: float,
    ) -> dict[str, Any]:
        """Compare with those who stand there: who likes the same, who is there before, with, whom.

        `kin` sums up cosines of what is touched, `ahead` how often they were a day or less ahead of
        this reader, `along` how often within an hour of them. All fade by how long ago it was.
        """
        recent_readers = self.affinities.recent_readers
        idf = 1 / np.sqrt(recent_readers.count(self.affinities.attributes.rows(known.places)) + 1)
        gap = known.first[co_engagements.at] - (now - co_engagements.ages)
        ahead = np.where((gap >= 0) & (gap < DAY), np.exp2(-np.abs(gap) / (4 * HOUR)), 0.0)
        breadth = recent_readers.breadth(candidate_readers.people) + PRIOR
        by_person = {
            "kin": co_engagements.spread(idf) / np.sqrt(breadth * (len(known.places) + PRIOR)),
            "ahead": co_engagements.add_up(ahead) / breadth,
            "along": co_engagements.add_up(np.abs(gap) < HOUR) / breadth,
            "visit": co_engagements.spread(idf * (known.last >= visit.began)) / np.sqrt(breadth),
            "day": co_engagements.spread(idf * (known.last >= now - DAY)) / np.sqrt(breadth),
        }
        each = {
            name: weights.astype(np.float32).take(candidate_readers.person)
            for name, weights in by_person.items()
        }
        kin, fading = each["kin"], _fading(candidate_readers.ages)
        is_new = candidate_readers.ages < now - visit.before
        found: dict[str, Any] = {
            "kin_sum": candidate_readers.sum(kin),
            "kin_best": candidate_readers.best(kin),
            "kin_last": candidate_readers.best(kin * (candidate_readers.ages <= HOUR)),
            "kin_since_visit": candidate_readers.sum(kin * is_new),
            "kin_of_visit": candidate_readers.sum(each["visit"] * fading["2h"]),
            "kin_of_day": candidate_readers.sum(each["day"] * fading["2h"]),
        }
        found |= {
            f"kin_{name}": candidate_readers.sum(kin * faded) for name, faded in fading.items()
        }
        for name in ("2h", "1d", "4d"):
            for how in ("ahead", "along"):
                found[f"{how}_{name}"] = candidate_readers.sum(each[how] * fading[name])
        return found

    def _threads(
        self,
        known: HistoryColumns,
        candidate_readers: CandidateReaders,
        co_engagements: CoEngagements,
        visit: Visit,
        now: float,
    ) -> dict[str, Any]:
        """Compare with what the reader touched: sums of cosines by readers."""
        sources = self.affinities.attributes.rows(known.places)
        scale = 1 / np.sqrt(self.affinities.recent_readers.count(sources) + 1)
        here = 1 / np.sqrt(candidate_readers.readers + 1)
        found: dict[str, Any] = {}
        for name, since in (("visit", visit.began), ("day", now - DAY), ("all", -np.inf)):
            by_person = co_engagements.spread(scale * (known.last >= since))
            found[f"thread_{name}"] = candidate_readers.of_people(by_person) * here
        return found

    def _steps(self, known: HistoryColumns, places: Numbers) -> dict[str, Any]:
        """Say how many went on to candidates from what the reader touched last."""
        steps = self._traces.follows(known.places[::-1][:STEPS], places)
        steps += [np.zeros(len(places))] * (STEPS - len(steps))
        found: dict[str, Any] = {f"follows_{n + 1}": step for n, step in enumerate(steps)}
        return found | {"follows": np.sum(steps, axis=0)}

    def _habit(
        self,
        known: HistoryColumns,
        candidate_readers: CandidateReaders,
        appeared: Floats,
        visit: Visit,
        now: float,
    ) -> dict[str, Any]:
        """Say what this reader usually takes, passes over, and finds new at this visit."""
        first, at_first = known.first, self.affinities.attributes.appeared(known.places)
        ages = ago(first - at_first)
        usual, spread = usual_of(ages, np.exp2(-np.maximum(now - first, 0.0) / (14 * DAY)))
        age = ago(now - appeared)
        found: dict[str, Any] = {"age_deviation": np.abs(age - usual) / spread}
        for name, since in (("visit", visit.began), ("day", now - DAY)):
            recent = np.sort(first[first >= since])
            found[f"passed_{name}"] = len(recent) - np.searchsorted(recent, appeared)
        [newer] = ranks_of(appeared[None])
        found |= {"newer": newer, "newer_deviation": (age - usual) / spread}
        found["news_since_visit"] = appeared > visit.before
        latest = now - candidate_readers.ages
        found["touched_since_visit"] = candidate_readers.best(
            (latest > visit.before).astype(np.float64)
        )
        found["readers_since_visit"] = candidate_readers.sum(latest > visit.before)
        own = known.last.max(initial=now - LONG_AGO)
        found["readers_since_last"] = candidate_readers.sum(latest > own)
        return found

    def _reader(
        self, known: HistoryColumns, visit: Visit, now: float, candidates: int
    ) -> dict[str, Any]:
        """Say who asks, and when: the same for all candidates."""
        ages = ago(known.first - self.affinities.attributes.appeared(known.places))
        usual, spread = usual_of(ages, np.exp2(-np.maximum(now - known.first, 0.0) / (14 * DAY)))
        crowd, then = self._crowd
        return {
            "usual_age": usual,
            "spread_of_age": spread,
            "since_own": ago(now - known.last.max(initial=-np.inf)),
            "since_visit": ago(visit.began - visit.before),
            "own_30min": np.count_nonzero(known.first >= now - SESSION),
            "own_1d": np.count_nonzero(known.first >= now - DAY),
            "own_7d": np.count_nonzero(known.first >= now - 7 * DAY),
            "interactions": len(known.places),
            "candidates": candidates,
            "crowd_10min": crowd * np.exp2(-max(now - then, 0.0) / (10 * MINUTE)),
            "hour": now / HOUR % 24,
        }

    def _sources(self, known: HistoryColumns, places: Numbers) -> dict[str, Any]:
        """Say who came first: how many follow them, and how often this reader does."""
        sources = self._traces.sources(places)
        own = self._traces.sources(known.places)
        own = np.sort(own[own > ANYBODY])
        times: Any = np.searchsorted(own, sources, "right") - np.searchsorted(own, sources, "left")
        return {
            "source_pull": self._traces.pull(sources),
            "source_own": times,
            "source_kin": times / (len(own) + PRIOR),
        }

    def _beside(
        self,
        known: HistoryColumns,
        places: Numbers,
        appeared: Floats,
        candidate_readers: CandidateReaders,
        others: Floats,
        now: float,
    ) -> dict[str, Any]:
        """Say how far candidates are from what the reader touched last, in time and in place.

        Above 0 is what is older, or was touched longer ago by others.
        """
        names = ("beside", "beside_places", "beside_touches", "same_source")
        if not len(known.places):
            return dict.fromkeys(names, 0.0)
        attributes, last = self.affinities.attributes, known.places[-1:]
        [then] = attributes.appeared(last)
        touched = others[-1].min()
        [source] = self._traces.sources(last)
        since = candidate_readers.since
        newest, latest = np.sort(-appeared), np.sort(since)
        return {
            "beside": ago(now - appeared) - ago(now - then),
            "beside_places": np.searchsorted(newest, -appeared) - np.searchsorted(newest, -then),
            "beside_touches": np.searchsorted(latest, since) - np.searchsorted(latest, touched),
            "same_source": (self._traces.sources(places) == source) & (source > ANYBODY),
        }

    def _company(
        self, known: HistoryColumns, candidate_readers: CandidateReaders, others: Floats, now: float
    ) -> dict[str, Any]:
        """Say how soon after others this reader usually comes, and after how many."""
        gap = others - (now - known.first)[:, None]
        gap[gap < 0] = np.inf
        weights = np.exp2(-np.maximum(now - known.first, 0.0) / (14 * DAY))
        gaps, spread_of_gap = usual_of(ago(gap.min(axis=1, initial=np.inf)), weights)
        counts = np.log1p(np.isfinite(gap).sum(axis=1).astype(np.float64))
        crowd, spread_of_crowd = usual_of(counts, weights, 1.5, 1.0)
        since = candidate_readers.since
        there = np.log1p(np.bincount(candidate_readers.at, minlength=candidate_readers.kblocks))
        return {
            "usual_gap": gaps,
            "usual_crowd": crowd,
            "gap_deviation": (ago(since) - gaps) / spread_of_gap,
            "crowd_deviation": (there - crowd) / spread_of_crowd,
        }

    def _others(self, places: Numbers, me: int, now: float) -> Floats:
        """Return how long ago others stood at what a reader touched; infinity for nobody."""
        rows = self.affinities.attributes.rows(places)
        ages = self.affinities.recent_readers.ages(rows, now)
        ages[self.affinities.recent_readers.who(rows) == me] = np.inf
        return ages


def _fading(ages: Floats) -> dict[str, NDArray[np.float32]]:
    """Return 2^(−age / half-life) for each of `FADING`.

    Half-lives are whole multiples of each other, so all of them are powers of the slowest one, by
    a few products where an exponential costs ten times as much.
    """
    found: dict[str, NDArray[np.float32]] = {}
    names = sorted(FADING, key=FADING.__getitem__, reverse=True)
    faded = np.exp2(ages * (-1 / FADING[names[0]]))
    for longer, name in pairwise([names[0], *names]):
        faded = _power(faded, round(FADING[longer] / FADING[name]))
        found[name] = faded.astype(np.float32)
    return found


def _power(values: Floats, exponent: int) -> Floats:
    """Return values to the power of a whole number from 1 on, by squaring."""
    if exponent == 1:
        return values
    half = _power(values, exponent // 2)
    return half * half * values if exponent % 2 else half * half


def _assembled(found: Mapping[str, Any], count: int) -> Matrix:
    """Return features as columns in the order of `NAMES`, with their ranks."""
    matrix = np.empty((count, len(NAMES)), np.float32)
    for column, name in enumerate(NAMES[: -len(RANKED)]):
        matrix[:, column] = found[name]
    ranked = [-found[name] if name == "since_1" else found[name] for name in RANKED]
    matrix[:, -len(RANKED) :] = ranks_of(np.stack(ranked)).T
    return matrix
