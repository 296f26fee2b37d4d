"""Every statistic of some events, computed in plain Python: no database, no baseline."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from harken.domain.attention import attention_score
from harken.domain.decay import LANDMARK
from harken.domain.feedback import FeedbackAction
from tests.support.statistics import Figures

ACTIONS = [action.value for action in FeedbackAction]
DECAYED = {
    "view": "decayed_views",
    "engage": "decayed_engagements",
    "dismiss": "decayed_dismissals",
}


def plain_figures(events: Iterable[dict[str, Any]], half_lives: Sequence[timedelta]) -> Figures:
    """Return what `figures` returns of a database that has exactly these events.

    Events have the fields of REST, with `occurred_at`.
    """
    events = list(events)
    exact: dict[tuple[str, ...], tuple[Any, ...]] = {}
    by_reader, by_kblock, by_minute = (defaultdict(list) for _ in range(3))
    contradictions: Counter[tuple[str, str]] = Counter()
    for event in events:
        by_reader[event["user_id"], event["kblock_id"]].append(event)
        by_kblock[event["kblock_id"]].append(event)
        by_minute[event["occurred_at"].replace(second=0, microsecond=0)].append(event)
        other = (event.get("metadata") or {}).get("contradicts")
        if event["action"] == "contradict" and other:
            contradictions[event["kblock_id"], other] += 1
    for key, own in by_reader.items():
        exact["feed_user_engagement_stats", *key] = (*_counters(own), *_lasts(own))
    for kblock_id, own in by_kblock.items():
        counts = _counters(own)
        views, engagements, dismissals, _, timed, dwell = counts
        uniques = (len({e["user_id"] for e in own if e["action"] == a}) for a in ACTIONS[:2])
        score = attention_score(views, engagements, dismissals)
        mean = dwell / (1000 * timed) if timed else None
        exact["feed_engagement_stats", kblock_id] = (*counts, *_lasts(own), *uniques, score, mean)
    for pair, count in contradictions.items():
        exact["feed_contradictions", *pair] = (count,)
    for minute, own in by_minute.items():
        exact["feed_activity_minutes", str(minute)] = tuple(_counters(own))
    exact["feed_activity_totals",] = tuple(_counters(events))
    return Figures(exact, _decayed(by_kblock, half_lives))


def _counters(events: Sequence[dict[str, Any]]) -> list[int]:
    timed = [
        event["dwell_time_ms"] for event in events
        if event["action"] == "view" and event.get("dwell_time_ms") is not None
    ]  # fmt: skip
    counts = [sum(event["action"] == action for event in events) for action in ACTIONS]
    return [*counts, len(timed), sum(timed)]


def _lasts(events: Sequence[dict[str, Any]]) -> list[datetime | None]:
    return [
        max((e["occurred_at"] for e in events if e["action"] == action), default=None)
        for action in ACTIONS[:2]
    ]


def _decayed(
    by_kblock: dict[str, list[dict[str, Any]]], half_lives: Sequence[timedelta]
) -> dict[tuple[str, str], float]:
    found = {}
    for kblock_id, own in by_kblock.items():
        for action, name in DECAYED.items():
            at = [e["occurred_at"] - LANDMARK for e in own if e["action"] == action]
            for slot, half_life in enumerate(half_lives, 1):
                if at:
                    exponents = [math.log(2) * (each / half_life) for each in at]
                    most = max(exponents)
                    total = math.log(sum(math.exp(each - most) for each in exponents))
                    found[kblock_id, f"{name}_{slot}"] = most + total
    return found
