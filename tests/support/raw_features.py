"""Features from the raw log, slowly and in plain loops: to compare with those that are kept up."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from math import inf, log, log1p, sqrt

from harken.services.readers.history import Touch

MIN, HOUR, DAY = 60.0, 3_600.0, 86_400.0
LONG = 400 * DAY
INTEREST = {"view", "engage"}
EVENTS = {
    "first": "readers", "view": "views", "engage": "engagements", "dismiss": "dismissals",
}  # fmt: skip
HALF_LIVES = {
    "first": {"10min": 10 * MIN, "1h": HOUR, "6h": 6 * HOUR, "1d": DAY, "4d": 4 * DAY},
    "view": {"1h": HOUR, "6h": 6 * HOUR, "1d": DAY},
    "engage": {"1h": HOUR, "6h": 6 * HOUR, "2d": 2 * DAY},
    "dismiss": {"2d": 2 * DAY},
}
FADING = {"2h": 2 * HOUR, "1d": DAY}


def ago(seconds: float) -> float:
    return log1p(min(max(seconds, 0.0), LONG))


def mean_of(
    seen: list[tuple[float, float]], prior: float = log1p(4 * HOUR), width: float = 2.0
) -> tuple[float, float]:
    total = 5 + sum(weight for _, weight in seen)
    mean = (5 * prior + sum(each * weight for each, weight in seen)) / total
    spread = (5 * width**2 + sum(weight * (each - mean) ** 2 for each, weight in seen)) / total
    return mean, sqrt(spread)


class Raw:
    """What a log says, up to some event."""

    def __init__(self, past: list[Touch]) -> None:
        self.past = past
        self.appeared: dict[str, float] = {}
        self.source: dict[str, str] = {}
        self.standing: dict[str, dict[str, float]] = defaultdict(dict)
        self.mine: dict[str, dict[str, list[float]]] = defaultdict(dict)  # first, last
        self.worth: dict[str, dict[str, float]] = defaultdict(dict)
        self.firsts: dict[str, list[float]] = defaultdict(list)
        self.steps: dict[tuple[str, str], int] = defaultdict(int)
        self.out: dict[str, int] = defaultdict(int)
        self.common: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.ahead: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.touched: dict[str, int] = defaultdict(int)
        self.active: dict[str, float] = {}
        self.with_readers = 0
        for touch in past:
            self._add(touch)

    def _add(self, touch: Touch) -> None:
        at, user, kblock = touch.at / 1e6, touch.user_id, touch.kblock_id
        self.appeared.setdefault(kblock, at)
        self.source.setdefault(kblock, user)
        if user != "guest":
            self._meet(touch, at)
        if touch.action in INTEREST:
            self.standing[kblock][user] = at
        if user != "guest":
            self._own(touch, at)

    def _own(self, touch: Touch, at: float) -> None:
        user, kblock = touch.user_id, touch.kblock_id
        if touch.action == "dismiss":
            self.standing[kblock].pop(user, None)
        mine = self.mine[user]
        if kblock not in mine:
            if touch.action in INTEREST:
                self.firsts[kblock].append(at)
            last = next(reversed(mine), None)
            if last is not None and at - mine[last][1] < 2 * HOUR:
                self.steps[last, kblock] += 1
                self.out[last] += 1
        first, _ = mine.pop(kblock, (at, at))
        mine[kblock] = [first, at]
        self._like(user, kblock, touch.action)

    def _like(self, user: str, kblock: str, action: str) -> None:
        worth = {"view": 1.0, "engage": 2.0, "dismiss": -2.0}.get(action, 0.0)
        known = self.worth[user].get(kblock, 0.0)
        if action == "dismiss":
            self.worth[user][kblock] = -2.0
        elif known >= 0 or action == "engage":
            self.worth[user][kblock] = max(known, worth)

    def named(self, kblock: str) -> set[str]:
        return set(self.standing[kblock]) - {"guest"}

    def breadth(self, user: str) -> int:
        return sum(worth > 0 for worth in self.worth[user].values())

    def ages(self, kblock: str, user: str, now: float) -> dict[str, float]:
        return {u: now - at for u, at in self.standing[kblock].items() if u != user}

    def visit(self, user: str, now: float) -> tuple[float, float]:
        times = sorted(each for pair in self.mine[user].values() for each in pair)
        began = now
        for at in reversed(times):
            if began - at > 30 * MIN:
                return began, at
            began = at
        return began, now - LONG

    # Families

    def recency_and_activity(self, user: str, kblock: str, now: float) -> dict[str, float]:
        ages = sorted(self.ages(kblock, user, now).values())
        touches = [touch for touch in self.past if touch.kblock_id == kblock]
        times = {
            kind: [t.at / 1e6 for t in touches if t.action == kind] for kind in HALF_LIVES
        } | {"first": self.firsts[kblock]}  # fmt: skip
        found = {"age": ago(now - self.appeared[kblock])}
        for n in range(2):
            found[f"time_since_reader_{n + 1}"] = ago(ages[n] if n < len(ages) else LONG)
        for kind in ("view", "engage"):
            found[f"time_since_{kind}"] = ago(now - max(times[kind], default=now - LONG))
        for kind, half_lives in HALF_LIVES.items():
            found[f"{EVENTS[kind]}_ever"] = len(times[kind])
            for name, half_life in half_lives.items():
                decayed = sum(2 ** ((at - now) / half_life) for at in times[kind])
                found[f"decayed_{EVENTS[kind]}_{name}"] = decayed
        found["recent_activity_5min"] = sum(1 / (age + 300) for age in ages)
        return found

    def _meet(self, touch: Touch, at: float) -> None:
        """Count the pairs of a first touch, and when its reader was active last."""
        user, kblock = touch.user_id, touch.kblock_id
        self.active[user] = at
        if kblock in self.mine[user] or touch.action not in INTEREST:
            return
        self.touched[user] += 1
        others = {who: then for who, then in self.standing[kblock].items() if who != "guest"}
        self.with_readers += not others
        for other, then in others.items():
            for one, two, gap in ((user, other, at - then), (other, user, then - at)):
                self.common[one][two] += 1
                self.ahead[one][two] += 0 <= gap < DAY

    def user_similarity(self, user: str, kblock: str, now: float) -> dict[str, float]:
        ages, appeared = self.ages(kblock, user, now), self.appeared[kblock]
        _, before = self.visit(user, now)
        here = {who: age for who, age in ages.items() if who != "guest"}
        usual = (self.touched[user] + 1) / (self.with_readers + 5)

        def lift(other: str) -> float:
            both, of_other = self.common[user][other], self.touched[other]
            return log((both + 5 * usual) / ((of_other + 5) * usual))

        def cosine(other: str) -> float:
            scale = sqrt((self.touched[other] + 5) * (self.touched[user] + 5))
            return self.common[user][other] / scale

        def lead(other: str) -> float:
            return self.ahead[user][other] / (self.touched[other] + 5)

        lifts = [lift(who) for who in here] + [0.0] * ("guest" in ages)
        found = {
            "reader_lift_sum": sum(lifts),
            "reader_lift_mean": sum(lifts) / max(len(lifts), 1),
            "reader_lift_best": max(lifts, default=0),
            "most_similar_reader": max(map(cosine, here), default=0),
            "similar_readers_since_last_visit": sum(
                cosine(who) for who, age in here.items() if now - age > before
            ),
        }
        for name, half_life in FADING.items():
            fades = {who: 2 ** (-age / half_life) for who, age in here.items()}
            found[f"similar_readers_{name}"] = sum(cosine(who) * fades[who] for who in here)
            found[f"leaders_{name}"] = sum(lead(who) * fades[who] for who in here)
        return found | self.reach(user, here, appeared, lift, cosine)

    def reach(
        self, user: str, here: dict[str, float], appeared: float,
        lift: Callable[[str], float], cosine: Callable[[str], float],
    ) -> dict[str, float]:  # fmt: skip
        similar = [who for who, both in self.common[user].items() if both]
        closest = sorted(similar, key=cosine, reverse=True)[:30]
        weights: dict[str, Callable[[str], float]] = {
            "similar_reader_reach": cosine,
            "reader_lift_reach": lambda who: max(lift(who), 0.0),
            "closest_reader_reach": lambda who: float(who in closest),
        }
        found = {}
        for name, weight in weights.items():
            active = sum(weight(who) for who in similar if self.active[who] >= appeared)
            came = sum(weight(who) for who in similar if who in here)
            total = sum(map(weight, similar))
            found[name] = came / (active + 0.05 * total + 1e-3)
            if name == "reader_lift_reach":
                found["reader_lift_absent"] = (active - came) / (total + 1e-3)
        return found

    def item_to_item(self, user: str, kblock: str, now: float) -> dict[str, float]:
        mine, here = self.mine[user], self.named(kblock)
        began, _ = self.visit(user, now)
        found = {}
        for name, since in (("this_visit", began), ("last_day", now - DAY), ("all", -LONG)):
            found[f"co_engagement_{name}"] = sum(
                len(self.named(item) & here) / sqrt((len(self.named(item)) + 1) * (len(here) + 1))
                for item, (_, latest) in mine.items()
                if latest >= since
            )
        steps = [self.steps[i, kblock] / (self.out[i] + 5) for i in [*mine][::-1][:3]]
        return found | {"transitions_sum": sum(steps)}

    def reader_habits(self, user: str, kblock: str, now: float) -> dict[str, float]:
        appeared, firsts = self.appeared[kblock], [first for first, _ in self.mine[user].values()]
        began, before = self.visit(user, now)
        usual, spread = self.usual(user, now)
        ages = self.ages(kblock, user, now).values()
        off = (ago(now - appeared) - usual) / spread
        own = max((latest for _, latest in self.mine[user].values()), default=now - LONG)
        return {
            "passed_over_this_visit": sum(first >= max(began, appeared) for first in firsts),
            "passed_over_last_day": sum(first >= max(now - DAY, appeared) for first in firsts),
            "age_deviation": abs(off),
            "age_deviation_signed": off,
            "new_since_last_visit": appeared > before,
            "readers_since_last_visit": sum(now - age > before for age in ages),
            "readers_since_last_interaction": sum(now - age > own for age in ages),
        }

    def usual(self, user: str, now: float) -> tuple[float, float]:
        seen = [
            (ago(first - self.appeared[item]), 2 ** ((first - now) / (14 * DAY)))
            for item, (first, _) in self.mine[user].items()
        ]
        return mean_of(seen)

    def request_context(self, user: str, now: float, candidates: int) -> dict[str, float]:
        began, before = self.visit(user, now)
        usual, spread = self.usual(user, now)
        pairs = list(self.mine[user].values())
        crowd = [t.at / 1e6 for t in self.past if t.action in INTEREST]
        return {
            "usual_age": usual,
            "usual_age_deviation": spread,
            "time_since_own_interaction": ago(
                now - max((last for _, last in pairs), default=now - LONG)
            ),
            "time_between_visits": ago(began - before),
            "reader_kblocks_last_30min": sum(first >= now - 30 * MIN for first, _ in pairs),
            "reader_kblocks_last_7d": sum(first >= now - 7 * DAY for first, _ in pairs),
            "reader_kblocks": len(pairs),
            "candidate_count": candidates,
            "all_events_10min": sum(2 ** ((at - now) / (10 * MIN)) for at in crowd),
            "hour_of_day": now / HOUR % 24,
        }

    def first_readers(self, user: str, kblock: str) -> dict[str, float]:
        source = self.source[kblock]
        of_source = [each for each, who in self.source.items() if who == source]
        came = sum(
            len({u for u in self.mine if each in self.mine[u]} - {source}) for each in of_source
        )
        named = [item for item in self.mine[user] if self.source[item] != "guest"]
        times = 0 if source == "guest" else sum(self.source[item] == source for item in named)
        return {
            "first_reader_audience": came / (len(of_source) + 3),
            "same_first_reader_share": times / (len(named) + 5),
        }

    def other_readers(self, user: str, kblock: str, now: float) -> dict[str, float]:
        ages, seen = self.ages(kblock, user, now).values(), []
        for item, (first, _) in self.mine[user].items():
            gaps = [first - at for who, at in self.standing[item].items() if who != user]
            before = [gap for gap in gaps if gap >= 0]
            weight = 2 ** ((first - now) / (14 * DAY))
            seen.append((ago(min(before, default=LONG)), log1p(len(before)), weight))
        gap, of_gap = mean_of([(each, weight) for each, _, weight in seen])
        crowd, of_crowd = mean_of([(each, weight) for _, each, weight in seen], 1.5, 1.0)
        return {
            "usual_reader_gap": gap,
            "usual_reader_count": crowd,
            "reader_gap_deviation": (ago(min(ages, default=LONG)) - gap) / of_gap,
            "reader_count_deviation": (log1p(len(ages)) - crowd) / of_crowd,
        }

    def distance_from_last(
        self, user: str, kblock: str, now: float, candidates: Sequence[str]
    ) -> dict[str, float]:
        names = (
            "distance_from_last_age", "distance_from_last_age_rank",
            "distance_from_last_activity_rank",
        )  # fmt: skip
        last = next(reversed(self.mine[user]), None)
        if last is None:
            return dict.fromkeys(names, 0)
        sinces = [min(self.ages(k, user, now).values(), default=inf) for k in (*candidates, last)]
        since, touched = sinces[candidates.index(kblock)], sinces.pop()
        here, there = self.appeared[kblock], self.appeared[last]
        times = [self.appeared[each] for each in candidates]
        found = (
            ago(now - here) - ago(now - there),
            sum(at > here for at in times) - sum(at > there for at in times),
            sum(each < since for each in sinces) - sum(each < touched for each in sinces),
        )
        return dict(zip(names, found, strict=True))

    def row(
        self, user: str, kblock: str, now: float, candidates: Sequence[str]
    ) -> dict[str, float]:
        """Return the features that no other test compares."""
        return {
            **self.recency_and_activity(user, kblock, now),
            **self.user_similarity(user, kblock, now),
            **self.item_to_item(user, kblock, now), **self.reader_habits(user, kblock, now),
            **self.request_context(user, now, len(candidates)), **self.first_readers(user, kblock),
            **self.distance_from_last(user, kblock, now, candidates),
            **self.other_readers(user, kblock, now),
        }  # fmt: skip
