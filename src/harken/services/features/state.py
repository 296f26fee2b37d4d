"""Features of a reader and candidates, as of a time: one definition for training and serving.

`Features` sees events in the order of time. Asked, it knows what it saw and nothing else, so its
answers are those of a point in time. Each feature belongs to a family; all are finite numbers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from harken.domain.feedback import GUEST, FeedbackAction
from harken.services.features.names import FADING, LATEST, NAMES, RANKED, STEPS, WINDOWS, named
from harken.services.features.present import (
    LONG_AGO,
    PRIOR,
    SESSION,
    Present,
    Visit,
    ago,
    ranks_of,
    usual_of,
    visit_of,
)
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
from harken.services.feed.reader_memory import MICROS, ReaderMemory, Remembered, Touch
from harken.services.feed.tastes import PARTS, Tastes
from harken.services.feed.touchers import ANYBODY


class Features:
    """The state that features are made of; `tastes` may be shared, if nobody else feeds it."""

    def __init__(self, tastes: Tastes | None = None) -> None:
        self.tastes = tastes or Tastes()
        self._traces = Traces()
        self._crowd = np.zeros(2)  # touches by named readers, faded over 10 min; as of when

    def see(self, touch: Touch) -> None:
        """Take up an event."""
        place = self.tastes.place(touch.kblock_id)
        reader = self.tastes.memory(touch.user_id)
        before, is_first = None, touch.user_id != GUEST
        if reader is not None and len(reader):
            is_first = touch.kblock_id not in reader
            last = reader.last
            if last.place != place and abs(touch.at / MICROS - last.last) < STEP:
                before = last.place
        self._traces.see(touch, place, before, is_first=is_first)
        self._note(touch)
        self.tastes.observe(touch)

    def _note(self, touch: Touch) -> None:
        if touch.action in {FeedbackAction.VIEW, FeedbackAction.ENGAGE}:
            at = max(touch.at / MICROS, self._crowd[1])
            faded = self._crowd[0] * np.exp2((self._crowd[1] - at) / (10 * MINUTE))
            self._crowd[:] = faded + 1, at

    def matrix(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Matrix:
        """Return the features of candidates, a row for each; `now` in microseconds since 1970."""
        found: dict[str, Any] = {}
        seconds, count = now / MICROS, len(kblock_ids)
        contents = self.tastes.contents
        places = contents.places(kblock_ids, count)
        rows = contents.rows(places)
        scored = self.tastes.score_places(user_id, places, now)
        found |= {name: scored.parts[name] for name in PARTS}
        found["total"] = scored.total
        reader = self.tastes.memory(user_id)
        me = ANYBODY if reader is None else reader.number
        present = self._present(rows, seconds, me)
        appeared = np.minimum(contents.appeared(places), seconds)
        found |= self._clocks(places, present, appeared, seconds)
        known = (reader or ReaderMemory(ANYBODY, 1)).columns
        visit = visit_of(np.concatenate([known.first, known.last]), seconds)
        found |= self._kin(reader, known, present, visit, seconds)
        found |= self._items(known, places, rows, visit, seconds)
        found |= self._habit(known, present, appeared, visit, seconds)
        found |= self._reader(known, visit, seconds, count)
        found |= self._sources(known, places)
        others = self._others(known.places, me, seconds)
        found |= self._beside(known, places, appeared, present, others, seconds)
        found |= self._company(known, present, others, seconds)
        matrix = np.empty((len(NAMES), count), np.float32)
        for row, name in enumerate(NAMES[: -len(RANKED)]):
            matrix[row] = found[name]
        matrix[-len(RANKED) :] = ranks_of(
            np.stack([-found[name] if name == "since_1" else found[name] for name in RANKED])
        )
        return np.ascontiguousarray(matrix.T)

    def _present(self, rows: Numbers, now: float, me: int) -> Present:
        touchers = self.tastes.touchers
        who = touchers.who(rows)
        at, slot = np.nonzero((who > 0) & ((who != me) | (who == ANYBODY)))
        ages = touchers.ages(rows, now)[at, slot]
        filled, heads = np.unique(at, return_index=True)
        return Present(at, who[at, slot], ages, len(rows), heads, filled)

    def _clocks(
        self, places: Numbers, present: Present, appeared: Floats, now: float
    ) -> dict[str, Any]:
        """Say what everybody does: how new it is, how long ago it was touched and how often."""
        traces = self._traces
        found: dict[str, Any] = {"age": ago(now - appeared)}
        latest = enumerate(present.latest(LATEST))
        found |= {f"since_{n + 1}": ago(ages) for n, ages in latest}
        view, engage = traces.last(places)
        found |= {"since_view": ago(now - view), "since_engage": ago(now - engage)}
        within = present.sum([present.ages <= window for window in WINDOWS.values()])
        found |= zip([f"readers_{name}" for name in WINDOWS], within, strict=True)
        names = [f"{kind}_{named(h)}" for kind, each in HALF_LIVES.items() for h in each]
        found |= zip(names, traces.sums(places, now), strict=True)
        found |= zip([f"{kind}_ever" for kind in HALF_LIVES], traces.counts(places), strict=True)
        found["burst_narrow"] = present.sum(1 / (present.ages + 300))
        return found

    def _kin(
        self,
        reader: ReaderMemory | None,
        known: Remembered,
        present: Present,
        visit: Visit,
        now: float,
    ) -> dict[str, Any]:
        """Compare with those who stand there: who likes the same, who is there before, with, whom.

        `kin` sums up cosines of what is touched, `ahead` how often they were a day or less ahead of
        this reader, `along` how often within an hour of them. All fade by how long ago it was.
        """
        touchers, who, ages = self.tastes.touchers, present.who, present.ages
        rows = self.tastes.contents.rows(known.places)
        others = touchers.who(rows)
        gap = known.first[:, None] - (now - touchers.ages(rows, now))
        size = int(max(who.max(initial=1), others.max(initial=1))) + 1
        flat = others.ravel()
        idf = np.broadcast_to(1 / np.sqrt(touchers.count(rows) + 1)[:, None], others.shape)
        ahead = np.where((gap >= 0) & (gap < DAY), np.exp2(-np.abs(gap) / (4 * HOUR)), 0.0)
        along = np.where(np.abs(gap) < HOUR, 1.0, 0.0)
        breadth = touchers.breadth(who) + PRIOR
        kin, led, met, visiting, today = (
            self._of(flat, weights, size)[who] / divisor
            for weights, divisor in (
                (idf, np.sqrt(breadth)),
                (ahead, breadth),
                (along, breadth),
                (idf * (known.last >= visit.began)[:, None], np.sqrt(breadth)),
                (idf * (known.last >= now - DAY)[:, None], np.sqrt(breadth)),
            )
        )
        if reader is not None:
            kin = kin / np.sqrt(len(known.places) + PRIOR)
        fading = {name: np.exp2(-ages / half_life) for name, half_life in FADING.items()}
        weights = {"kin_sum": kin, "kin_since_visit": kin * (now - ages > visit.before)}
        weights |= {f"kin_{name}": kin * faded for name, faded in fading.items()}
        weights |= {"kin_of_visit": visiting * fading["2h"], "kin_of_day": today * fading["2h"]}
        for name in ("2h", "1d", "4d"):
            weights[f"ahead_{name}"] = led * fading[name]
            weights[f"along_{name}"] = met * fading[name]
        found: dict[str, Any] = dict(zip(weights, present.sum([*weights.values()]), strict=True))
        names = ("kin_best", "kin_last")
        return found | dict(zip(names, present.best([kin, kin * (ages <= HOUR)]), strict=True))

    @staticmethod
    def _of(flat: Numbers, weights: Floats, size: int) -> Floats:
        """Add up weights by reader; nobody and guests have none."""
        total: Any = np.bincount(flat, weights.ravel(), size)
        total[: ANYBODY + 1] = 0.0
        return np.asarray(total)

    def _items(
        self, known: Remembered, places: Numbers, rows: Numbers, visit: Visit, now: float
    ) -> dict[str, Any]:
        """Compare with what the reader touched: cosines by readers, and what is touched next."""
        touchers, contents = self.tastes.touchers, self.tastes.contents
        sources = contents.rows(known.places)
        scale = 1 / np.sqrt(touchers.count(sources) + 1)
        who, here = touchers.who(rows), 1 / np.sqrt(touchers.count(rows) + 1)
        found: dict[str, Any] = {}
        for name, since in (("visit", visit.began), ("day", now - DAY), ("all", -np.inf)):
            weights = scale * (known.last >= since)
            kept = weights > 0
            got = touchers.spread(sources[kept], weights[kept], who, ANYBODY)
            found[f"thread_{name}"] = got.sum(axis=1) * here
        last = known.places[::-1][:STEPS]
        steps = [self._traces.follows(place, places) for place in last.tolist()]
        steps += [np.zeros(len(places))] * (STEPS - len(steps))
        found |= {f"follows_{n + 1}": step for n, step in enumerate(steps)}
        found["follows"] = np.sum(steps, axis=0)
        return found

    def _habit(
        self, known: Remembered, present: Present, appeared: Floats, visit: Visit, now: float
    ) -> dict[str, Any]:
        """Say what this reader usually takes, passes over, and finds new at this visit."""
        first, at_first = known.first, self.tastes.contents.appeared(known.places)
        ages = ago(first - at_first)
        usual, spread = usual_of(ages, np.exp2(-(now - first) / (14 * DAY)))
        age = ago(now - appeared)
        found: dict[str, Any] = {"age_deviation": np.abs(age - usual) / spread}
        for name, since in (("visit", visit.began), ("day", now - DAY)):
            recent = np.sort(first[first >= since])
            found[f"passed_{name}"] = len(recent) - np.searchsorted(recent, appeared)
        [newer] = ranks_of(appeared[None])
        found |= {"newer": newer, "newer_deviation": (age - usual) / spread}
        found["news_since_visit"] = appeared > visit.before
        latest = now - present.ages
        found["touched_since_visit"] = present.best((latest > visit.before).astype(np.float64))
        found["readers_since_visit"] = present.sum(latest > visit.before)
        own = known.last.max(initial=now - LONG_AGO)
        found["readers_since_last"] = present.sum(latest > own)
        return found

    def _reader(
        self, known: Remembered, visit: Visit, now: float, candidates: int
    ) -> dict[str, Any]:
        """Say who asks, and when: the same for all candidates."""
        ages = ago(known.first - self.tastes.contents.appeared(known.places))
        usual, spread = usual_of(ages, np.exp2(-(now - known.first) / (14 * DAY)))
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

    def _sources(self, known: Remembered, places: Numbers) -> dict[str, Any]:
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
        known: Remembered,
        places: Numbers,
        appeared: Floats,
        present: Present,
        others: Floats,
        now: float,
    ) -> dict[str, Any]:
        """Say how far candidates are from what the reader touched last, in time and in place.

        Above 0 is what is older, or was touched longer ago by others.
        """
        names = ("beside", "beside_places", "beside_touches", "same_source")
        if not len(known.places):
            return dict.fromkeys(names, 0.0)
        contents, last = self.tastes.contents, known.places[-1:]
        [then] = contents.appeared(last)
        touched = others[-1].min()
        [source] = self._traces.sources(last)
        [since] = present.latest(1)
        newest, latest = np.sort(-appeared), np.sort(since)
        return {
            "beside": ago(now - appeared) - ago(now - then),
            "beside_places": np.searchsorted(newest, -appeared) - np.searchsorted(newest, -then),
            "beside_touches": np.searchsorted(latest, since) - np.searchsorted(latest, touched),
            "same_source": (self._traces.sources(places) == source) & (source > ANYBODY),
        }

    def _company(
        self, known: Remembered, present: Present, others: Floats, now: float
    ) -> dict[str, Any]:
        """Say how soon after others this reader usually comes, and after how many."""
        gap = others - (now - known.first)[:, None]
        gap[gap < 0] = np.inf
        weights = np.exp2(-(now - known.first) / (14 * DAY))
        gaps, spread_of_gap = usual_of(ago(gap.min(axis=1, initial=np.inf)), weights)
        counts = np.log1p(np.isfinite(gap).sum(axis=1).astype(np.float64))
        crowd, spread_of_crowd = usual_of(counts, weights, 1.5, 1.0)
        [since] = present.latest(1)
        there = np.log1p(present.sum(np.ones(len(present.at))))
        return {
            "usual_gap": gaps,
            "usual_crowd": crowd,
            "gap_deviation": (ago(since) - gaps) / spread_of_gap,
            "crowd_deviation": (there - crowd) / spread_of_crowd,
        }

    def _others(self, places: Numbers, me: int, now: float) -> Floats:
        """Return how long ago others stood at what a reader touched; infinity for nobody."""
        rows = self.tastes.contents.rows(places)
        ages = self.tastes.touchers.ages(rows, now)
        ages[self.tastes.touchers.who(rows) == me] = np.inf
        return ages
