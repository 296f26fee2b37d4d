"""Features of a reader and candidates, as of a time: one definition for training and serving.

`Features` is given events in the order of time, and computes features from these events alone.
So its features are those of a point in time. All of them are finite numbers; `names` says what each
of them means.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

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
from harken.services.features.names import (
    DECAYED,
    EVER,
    LATEST,
    NAMES,
    PERSONAL_SCORE,
    RANKED,
    STEPS,
)
from harken.services.features.similar_readers import similar_readers
from harken.services.features.traces import (
    DAY,
    HOUR,
    MINUTE,
    STEP,
    Floats,
    Matrix,
    Numbers,
    Traces,
)
from harken.services.readers.affinities import Affinities
from harken.services.readers.co_engagement import ANYBODY, CandidateReaders, CoEngagements
from harken.services.readers.history import MICROS, HistoryColumns, ReaderHistory, Touch
from harken.services.readers.reader_pairs import ReaderPairs
from harken.services.readers.score_parts import PARTS

_INTEREST = frozenset({FeedbackAction.VIEW, FeedbackAction.ENGAGE})


class Features:
    """The state that features are computed from.

    `affinities` may be read by others, but only this object may pass events to them.
    """

    def __init__(self, affinities: Affinities | None = None) -> None:
        self.affinities = affinities or Affinities()
        self._traces = Traces()
        self.pairs = ReaderPairs()
        """What readers have in common; only to be read by others."""
        # By the number of a recalled reader: places of K-Blocks whose first touch is not traced.
        self._untraced: dict[int, set[int]] = {}
        # Views and engagements by everybody with a half-life of 10 min; as of which time (seconds).
        self._all_events = 0.0, 0.0
        self.changes = 0
        """How often an event was added, or a history replaced."""

    def see(self, touch: Touch) -> None:
        """Add an event to the traces and to the affinities."""
        self.trace(touch)
        self.affinities.observe(touch)

    def recall(self, user_id: str, touches: Sequence[Touch], since: int | None = None) -> None:
        """Replace the history of a reader by these events, the latest last.

        The traces get each of them from `see` or `trace`, before or after. `since` is when the
        reader reset their profile (microseconds since 1970): what they have in common with others
        is forgotten if any of it may be from before.
        """
        self.changes += 1
        reader = self.affinities.history(user_id)
        if reader is not None and since and self.pairs.began(reader.number) < since / MICROS:
            self.pairs.forget(reader.number)
            untraced = self._untraced.pop(reader.number, set())
            self.affinities.forget(user_id, since)
            self._untraced[self.affinities.number(user_id)] = untraced
            reader = self.affinities.history(user_id)
        new = {
            self.affinities.place(each.kblock_id)
            for each in touches if reader is None or reader.get(each.kblock_id) is None
        }  # fmt: skip
        self.affinities.recall(user_id, touches)
        if new:
            self._untraced.setdefault(self.affinities.number(user_id), set()).update(new)

    def trace(self, touch: Touch, *, is_recalled: bool = False) -> None:
        """Add an event to the traces alone.

        `is_recalled` says that the affinities may have the event already, because they were
        restored from their reader's last events (`Affinities.recall`). It then still counts as
        the reader's first touch of the K-Block.
        """
        self.changes += 1
        place, at = self.affinities.place(touch.kblock_id), touch.at / MICROS
        reader = self.affinities.history(touch.user_id)
        previous, is_first = None, touch.user_id != GUEST
        if reader is not None and len(reader):
            known = reader.get(touch.kblock_id)
            is_first = known is None or (is_recalled and known.first >= at)
            last = reader.last
            if last.place != place and abs(at - last.last) < STEP:
                previous = last.place
        self._traces.see(touch, place, previous, is_first=is_first)
        self._count(touch)
        if touch.user_id != GUEST:
            self._pair(touch, place, is_first=is_first, is_recalled=is_recalled)

    def _pair(self, touch: Touch, place: int, *, is_first: bool, is_recalled: bool) -> None:
        """Add an event of a named reader to the pairs of readers.

        The other readers are those whose events are in the traces. So each pair is counted once per
        K-Block, when the second of both is added.
        """
        number, at = self.affinities.number(touch.user_id), touch.at / MICROS
        self.pairs.see(number, at)
        untraced = self._untraced.get(number, set())
        if is_recalled:
            is_first = place in untraced
        untraced.discard(place)
        if not is_first or touch.action not in _INTEREST:
            return
        row = self.affinities.attributes.row(place)
        others, then = self.affinities.recent_readers.named(row, number)
        if self._untraced:
            nothing: set[int] = set()
            kept = [place not in self._untraced.get(each, nothing) for each in others.tolist()]
            others, then = others[kept], then[kept]
        self.pairs.meet(number, at, others, then)

    def _count(self, touch: Touch) -> None:
        if touch.action in _INTEREST:
            events, then = self._all_events
            at = max(touch.at / MICROS, then)
            self._all_events = events * 2.0 ** ((then - at) / (10 * MINUTE)) + 1, at

    def matrix(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Matrix:
        """Return the features of candidates at `now` (microseconds since 1970).

        The shape is candidates × `NAMES`. K-Blocks and readers need not be known.
        """
        places = self.affinities.attributes.places(kblock_ids, len(kblock_ids))
        return self.matrix_at(user_id, places, now)

    def matrix_at(self, user_id: str, places: Numbers, now: int) -> Matrix:
        """Return the features of candidates that are given by their places in `affinities`."""
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
        others = self._ages_of_other_readers(known.places, reader.number, seconds)
        usual = self._usual_age(known, seconds)
        found = self._personal_score(user_id, places, candidate_readers, co_engagements, now)
        found |= self._recency_and_activity(places, candidate_readers, appeared, seconds)
        recent = seconds - visit.before
        found |= similar_readers(self.pairs, reader.number, candidate_readers, appeared, recent)
        found |= self._co_engagement(known, candidate_readers, co_engagements, visit, seconds)
        found |= self._transitions(known, places)
        found |= self._reader_habits(known, candidate_readers, appeared, visit, usual, seconds)
        found |= self._request_context(known, visit, usual, seconds, len(places))
        found |= self._first_readers(known, places)
        found |= self._distance_from_last(known, appeared, candidate_readers, others, seconds)
        found |= self._other_readers(known, candidate_readers, others, seconds)
        return _assembled(found, len(places))

    def _personal_score(
        self,
        user_id: str,
        places: Numbers,
        candidate_readers: CandidateReaders,
        co_engagements: CoEngagements,
        now: int,
    ) -> dict[str, Any]:
        """Return the parts of the personal score, and the score."""
        if self.affinities.is_known(user_id):
            scored = self.affinities.score_candidates(
                user_id, places, candidate_readers, now, co_engagements
            )
        else:  # with too few interactions, the reader's own touches count as everybody's
            scored = self.affinities.score_places(user_id, places, now)
        return {name: scored.parts[name] for name in PARTS} | {PERSONAL_SCORE: scored.total}

    def _recency_and_activity(
        self, places: Numbers, candidate_readers: CandidateReaders, appeared: Floats, now: float
    ) -> dict[str, Any]:
        """Return the age of candidates, the times since their last readers, and event counts."""
        traces = self._traces
        found: dict[str, Any] = {"age": ago(now - appeared)}
        latest = enumerate(candidate_readers.latest(LATEST))
        found |= {f"time_since_reader_{n + 1}": ago(ages) for n, ages in latest}
        view, engage = traces.last(places)
        found |= {"time_since_view": ago(now - view), "time_since_engage": ago(now - engage)}
        found |= zip(DECAYED, traces.sums(places, now), strict=True)
        found |= zip(EVER, traces.counts(places), strict=True)
        found["recent_activity_5min"] = candidate_readers.sum(1 / (candidate_readers.ages + 300))
        return found

    def _co_engagement(
        self,
        known: HistoryColumns,
        candidate_readers: CandidateReaders,
        co_engagements: CoEngagements,
        visit: Visit,
        now: float,
    ) -> dict[str, Any]:
        """Return sums of cosines, by readers, between candidates and this reader's K-Blocks."""
        sources = self.affinities.attributes.rows(known.places)
        scale = 1 / np.sqrt(self.affinities.recent_readers.count(sources) + 1)
        here = 1 / np.sqrt(candidate_readers.readers + 1)
        found: dict[str, Any] = {}
        spans = {"this_visit": visit.began, "last_day": now - DAY, "all": -np.inf}
        for name, since in spans.items():
            by_person = co_engagements.sum_of_sources(scale * (known.last >= since))
            found[f"co_engagement_{name}"] = candidate_readers.sum_of_people(by_person) * here
        return found

    def _transitions(self, known: HistoryColumns, places: Numbers) -> dict[str, Any]:
        """Sum shares of readers who went on to candidates from the reader's last K-Blocks."""
        steps = self._traces.transitions(known.places[::-1][:STEPS], places)
        return {"transitions_sum": np.sum([np.zeros(len(places)), *steps], axis=0)}

    def _reader_habits(
        self,
        known: HistoryColumns,
        candidate_readers: CandidateReaders,
        appeared: Floats,
        visit: Visit,
        usual_age: tuple[float, float],
        now: float,
    ) -> dict[str, Any]:
        """Compare candidates with what this reader usually reads, passed over, and has not met yet.

        `visit.before` is the end of the previous visit: what is later is new to this reader.
        `usual_age` is what `_usual_age` returns.
        """
        first, (usual, spread) = known.first, usual_age
        age = ago(now - appeared)
        found: dict[str, Any] = {"age_deviation": np.abs(age - usual) / spread}
        for name, since in (("this_visit", visit.began), ("last_day", now - DAY)):
            recent = np.sort(first[first >= since])
            found[f"passed_over_{name}"] = len(recent) - np.searchsorted(recent, appeared)
        [newer] = ranks_of(appeared[None])
        found |= {"share_of_newer": newer, "age_deviation_signed": (age - usual) / spread}
        found["new_since_last_visit"] = appeared > visit.before
        latest = now - candidate_readers.ages
        found["readers_since_last_visit"] = candidate_readers.sum(latest > visit.before)
        own = known.last.max(initial=now - LONG_AGO)
        found["readers_since_last_interaction"] = candidate_readers.sum(latest > own)
        return found

    def _usual_age(self, known: HistoryColumns, now: float) -> tuple[float, float]:
        """Return the usual age of K-Blocks when this reader chose them, and its deviation."""
        ages = ago(known.first - self.affinities.attributes.appeared(known.places))
        return usual_of(ages, np.exp2(-np.maximum(now - known.first, 0.0) / (14 * DAY)))

    def _request_context(
        self,
        known: HistoryColumns,
        visit: Visit,
        usual_age: tuple[float, float],
        now: float,
        candidates: int,
    ) -> dict[str, Any]:
        """Return this reader's activity and the time: the same values for all candidates."""
        events, then = self._all_events
        return {
            "usual_age": usual_age[0],
            "usual_age_deviation": usual_age[1],
            "time_since_own_interaction": ago(now - known.last.max(initial=-np.inf)),
            "time_between_visits": ago(visit.began - visit.before),
            "reader_kblocks_last_30min": np.count_nonzero(known.first >= now - SESSION),
            "reader_kblocks_last_7d": np.count_nonzero(known.first >= now - 7 * DAY),
            "reader_kblocks": len(known.places),
            "candidate_count": candidates,
            "all_events_10min": events * np.exp2(-max(now - then, 0.0) / (10 * MINUTE)),
            "hour_of_day": now / HOUR % 24,
        }

    def _first_readers(self, known: HistoryColumns, places: Numbers) -> dict[str, Any]:
        """Compare the first reader of each candidate with those of this reader's K-Blocks."""
        first = self._traces.first_readers(places)
        own = self._traces.first_readers(known.places)
        own = np.sort(own[own > ANYBODY])
        times: Any = np.searchsorted(own, first, "right") - np.searchsorted(own, first, "left")
        return {
            "first_reader_audience": self._traces.audience(first),
            "same_first_reader_share": times / (len(own) + PRIOR),
        }

    def _distance_from_last(
        self,
        known: HistoryColumns,
        appeared: Floats,
        candidate_readers: CandidateReaders,
        others: Floats,
        now: float,
    ) -> dict[str, Any]:
        """Return the distances of candidates from this reader's last K-Block.

        They are above 0 for a candidate that is older, or that others read longer ago. Without a
        last K-Block, all are 0.
        """
        names = (
            "distance_from_last_age", "distance_from_last_age_rank",
            "distance_from_last_activity_rank",
        )  # fmt: skip
        if not len(known.places):
            return dict.fromkeys(names, 0.0)
        attributes, last = self.affinities.attributes, known.places[-1:]
        [then] = attributes.appeared(last)
        touched = others[-1].min()
        since = candidate_readers.since
        newest, latest = np.sort(-appeared), np.sort(since)
        found = (
            ago(now - appeared) - ago(now - then),
            np.searchsorted(newest, -appeared) - np.searchsorted(newest, -then),
            np.searchsorted(latest, since) - np.searchsorted(latest, touched),
        )
        return dict(zip(names, found, strict=True))

    def _other_readers(
        self, known: HistoryColumns, candidate_readers: CandidateReaders, others: Floats, now: float
    ) -> dict[str, Any]:
        """Compare how soon after others, and after how many, with this reader's usual values.

        `others` is what `_ages_of_other_readers` returns.
        """
        gap = others - (now - known.first)[:, None]
        gap[gap < 0] = np.inf
        weights = np.exp2(-np.maximum(now - known.first, 0.0) / (14 * DAY))
        gaps, spread_of_gap = usual_of(ago(gap.min(axis=1, initial=np.inf)), weights)
        counts = np.log1p(np.isfinite(gap).sum(axis=1).astype(np.float64))
        readers, spread_of_readers = usual_of(counts, weights, 1.5, 1.0)
        since = candidate_readers.since
        count = np.log1p(np.bincount(candidate_readers.at, minlength=candidate_readers.kblocks))
        return {
            "usual_reader_gap": gaps,
            "usual_reader_count": readers,
            "reader_gap_deviation": (ago(since) - gaps) / spread_of_gap,
            "reader_count_deviation": (count - readers) / spread_of_readers,
        }

    def _ages_of_other_readers(self, places: Numbers, me: int, now: float) -> Floats:
        """Return how many seconds ago others read K-Blocks: places × slots, infinity for none."""
        rows = self.affinities.attributes.rows(places)
        ages = self.affinities.recent_readers.ages(rows, now)
        ages[self.affinities.recent_readers.who(rows) == me] = np.inf
        return ages


def _assembled(found: Mapping[str, Any], count: int) -> Matrix:
    """Return features and ranks as a matrix: `count` rows, columns in the order of `NAMES`."""
    columns = np.empty((len(NAMES), count), np.float32)
    for column, name in zip(columns, NAMES[: -len(RANKED)], strict=False):
        column[:] = found[name]
    columns[-len(RANKED) :] = ranks_of(np.stack([found[name] for name in RANKED]))
    return np.ascontiguousarray(columns.T)
