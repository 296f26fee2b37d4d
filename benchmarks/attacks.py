"""Rings of accounts planted into a real log: how many are found, who is accused, and how soon.

python -m benchmarks.attacks LOG.csv.gz [--seeds 0:8] [--curve] [--walk] [--scale]

Each seed plants one ring of each strength, size and number of targets into the log, at a random
time, and runs all detectors on the whole log once, at the default settings. Recall is the share of
the ring's accounts among the members of alerts, precision the share of the ring among all members.
The readers of the log itself are taken to be honest.
"""

import argparse
import itertools
import json
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harken.domain.attention import attention_score
from harken.services.integrity.detectors import (
    DETECTORS,
    DetectorSettings,
    EventLog,
    EventRow,
    Findings,
    run_detectors,
)
from harken.services.integrity.detectors.event_log import HOUR, MICROS, WEEK
from harken.services.record.files.log_reader import LogReader
from harken.services.record.files.mapping import LogMapping
from harken.services.simulation.rings import ENGAGE, VIEW, Attack, Planted, Strength, plant

SIZES, TARGETS = (10, 30, 60), (1, 2, 3, 5, 10)
GATES = {Strength.MINUTES: 0.95, Strength.JITTER: 0.8, Strength.DRIP: 0.5}
GATED_TARGETS = (3, 5, 10)
MOST_FLAGGED = 1.0


class Result(NamedTuple):
    """What a run found of one ring."""

    attack: Attack
    recall: float
    precision: float
    ap: float
    auc: float
    by_detector: dict[str, tuple[float, float]]
    scores: tuple[np.ndarray, np.ndarray]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("--seeds", default="0:4")
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--walk", action="store_true")
    parser.add_argument("--scale", action="store_true")
    options = parser.parse_args()
    if options.scale:
        return scale()
    log = read(options.log)
    first, last = map(int, options.seeds.split(":"))
    flagged = honest(log)
    results = []
    for seed in range(first, last):
        for strength, size, targets in itertools.product(Strength, SIZES, TARGETS):
            attack = Attack(strength, size, targets)
            results.append(measure(log, attack, seed))
        print(f"seed {seed} done", file=sys.stderr)
    missed = report(results)
    if options.curve:
        curve(results)
    if options.walk:
        walk(log, range(first, last))
    return int(missed or flagged > MOST_FLAGGED)


def read(path: Path) -> EventLog:
    reader = LogReader(LogMapping.parse())
    return EventLog.from_rows(
        EventRow(
            each.user_id, each.kblock_id, each.action,
            round(each.occurred_at.timestamp() * MICROS), each.dwell_time_ms, each.session_id,
        )
        for chunk in reader.chunks(path)
        for _, each in chunk.events
        if each.occurred_at is not None
    )  # fmt: skip


def members(found: Findings, detector: str | None = None) -> set[str]:
    return {
        member
        for alert in found.alerts
        if detector in (None, alert.detector)
        for member in alert.members
    }


def reader_weeks(log: EventLog) -> int:
    return len(np.unique(log.readers * 10_000 + (log.at - log.at[0]) // WEEK))


def honest(log: EventLog) -> float:
    """Print who is accused in the log itself; return the readers per 1,000 active in a week."""
    found = run_detectors(log)
    accused, weeks = members(found), reader_weeks(log)
    rate = 1_000 * len(accused) / weeks
    print(
        f"honest log: {len(log)} events, {len(log.reader_ids)} readers, {weeks} reader-weeks; "
        f"{len(accused)} accused = {rate:.2f} per 1,000 and week; failures {dict(found.failures)}"
    )
    for alert in found.alerts:
        print(f"  {alert.detector} {alert.kind} ({len(alert.members)}): {alert.evidence.words}")
    return rate


def measure(log: EventLog, attack: Attack, seed: int) -> Result:
    planted = plant(log, attack, seed)
    found = run_detectors(planted.log)
    ring, accused = planted.accounts, members(found)
    scores = np.array(list(found.reader_scores.values()))
    truth = np.array([each in ring for each in found.reader_scores])
    by_detector = {
        each.name: rates(members(found, each.name), ring) for each in DETECTORS if each.accuses
    }
    recall, precision = rates(accused, ring)
    return Result(
        attack, recall, precision, *ranked(scores, truth), by_detector, (scores, truth)
    )  # fmt: skip


def rates(accused: set[str], ring: frozenset[str]) -> tuple[float, float]:
    hit = len(accused & ring)
    return hit / len(ring), hit / len(accused) if accused else float("nan")


def ranked(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return average precision and the area under the ROC curve; ties count half."""
    order = np.argsort(-scores, kind="stable")
    hits = truth[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    low = np.sort(scores[~truth])
    below = (
        np.searchsorted(low, scores[truth], "left") + np.searchsorted(low, scores[truth], "right")
    ) / 2
    return float(precision[hits].mean()), float(below.mean() / len(low))


def report(results: list[Result]) -> bool:
    print("strength  targets  size   n  recall  precision     AP    AUC")
    cells: dict[tuple[Strength, int, int], list[Result]] = defaultdict(list)
    for each in results:
        cells[each.attack.strength, each.attack.targets, each.attack.accounts].append(each)
    for (strength, targets, size), own in cells.items():
        mean = [
            np.nanmean([getattr(each, name) for each in own])
            for name in ("recall", "precision", "ap", "auc")
        ]
        print(
            f"{strength:8}  {targets:7}  {size:4}  {len(own):2}  {mean[0]:6.3f}  {mean[1]:9.3f}  "
            f"{mean[2]:5.3f}  {mean[3]:.4f}"
        )
    missed = False
    for strength, gate in GATES.items():
        own = [
            each
            for each in results
            if each.attack.strength is strength and each.attack.targets in GATED_TARGETS
        ]
        recalls = np.array([each.recall for each in own])
        precision = np.nanmean([each.precision for each in own])
        spread = np.percentile(bootstrap(recalls), [2.5, 97.5])
        missed |= recalls.mean() < gate
        print(
            f"{strength}: recall {recalls.mean():.3f} ({spread[0]:.3f} to {spread[1]:.3f}; "
            f"gate {gate}), found at all {np.mean(recalls > 0):.2f}, precision {precision:.3f}, "
            f"AP {np.mean([e.ap for e in own]):.3f}, AUC {np.mean([e.auc for e in own]):.4f}, "
            f"n={len(own)}"
        )
        for name in own[0].by_detector:
            pairs = [each.by_detector[name] for each in own]
            with np.errstate(invalid="ignore"):
                precise = [p for _, p in pairs if not np.isnan(p)]
            of_alerts = np.mean(precise) if precise else float("nan")
            recall = np.mean([r for r, _ in pairs])
            print(f"    {name:16} recall {recall:.3f} precision {of_alerts:.3f}")
    return missed


def bootstrap(values: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (1_000, len(values)))].mean(1)
    return np.asarray(means, np.float64)


def curve(results: list[Result]) -> None:
    """Print precision and recall of the score of readers, over all rings of a strength."""
    print("strength  score >=  recall  precision  honest per run")
    for strength in Strength:
        own = [each.scores for each in results if each.attack.strength is strength]
        for limit in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
            hit = sum(int((s[t] >= limit).sum()) for s, t in own)
            ring = sum(int(t.sum()) for _, t in own)
            false = sum(int((s[~t] >= limit).sum()) for s, t in own)
            precision = hit / max(hit + false, 1)
            print(
                f"{strength:8}  {limit:8}  {hit / ring:6.3f}  {precision:9.3f}  "
                f"{false / len(own):14.1f}"
            )


def walk(log: EventLog, seeds: range) -> None:
    """Print how long until half of a ring is accused by hourly runs, and what it moves till then.

    Runs are searched by bisection, which assumes that a ring that is found stays found.
    """
    print("strength  targets  size  hours until found  hours the attack takes  rank and attention")
    for strength, targets, seed in itertools.product(Strength, (3, 5), seeds):
        planted = plant(log, Attack(strength, 30, targets), seed)
        ring_at = planted.log.at[planted.log.readers >= len(log.reader_ids)]
        begin, end = planted.start // HOUR, int(ring_at.max()) // HOUR + 48
        low, high = begin, end
        if not found_by(planted, high):
            print(f"{strength:8}  {targets:7}  {30:4}  not within two days of its end")
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if found_by(planted, middle) else (middle, high)
        lasts = (int(ring_at.max()) - planted.start) / HOUR
        print(
            f"{strength:8}  {targets:7}  {30:4}  {high - begin:17}  {lasts:22.1f}  "
            f"{moved(log, planted, high)}"
        )


def found_by(planted: Planted, hour: int) -> bool:
    part = until(planted.log, hour * HOUR)
    settings = DetectorSettings(since=(hour - 1) * HOUR)
    accused = members(run_detectors(part, settings=settings)) & planted.accounts
    return 2 * len(accused) >= len(planted.accounts)


def until(log: EventLog, end: int) -> EventLog:
    last = int(np.searchsorted(log.at, end))
    return EventLog(
        log.reader_ids, log.kblock_ids, log.session_ids,
        *(each[:last] for each in (
            log.readers, log.kblocks, log.sessions, log.actions, log.at, log.dwells,
        )),
    )  # fmt: skip


def moved(log: EventLog, planted: Planted, hour: int) -> str:
    """Say how the first target's rank by popularity and its attention change, then and without."""
    target = int(planted.targets[0])
    before, during = (places(each, target, hour * HOUR) for each in (log, planted.log))
    return (
        f"rank {before[0]} to {during[0]}, attention {before[1]:.3f} to {during[1]:.3f}; "
        f"with the ring set aside {before[0]} and {before[1]:.3f} again"
    )


def places(log: EventLog, target: int, end: int) -> tuple[int, float]:
    part = (log.at < end) & (log.at >= end - 2 * WEEK)
    views = np.bincount(log.kblocks[part & (log.actions == VIEW)], minlength=len(log.kblock_ids))
    engaged = np.bincount(
        log.kblocks[part & (log.actions == ENGAGE)], minlength=len(log.kblock_ids)
    )
    total = views + engaged
    rank = 1 + int((total > total[target]).sum())
    return rank, attention_score(int(views[target]), int(engaged[target]), 0)


def scale() -> int:
    """Print times and memory of a full run and of the last hour, on a million events."""
    rng = np.random.default_rng(0)
    readers, kblocks, events = 50_000, 20_000, 1_000_000
    weights = rng.pareto(1.5, readers) + 0.2
    born = np.sort(rng.uniform(0, 26 * WEEK, kblocks))
    popular = rng.pareto(1.2, kblocks) + 0.1
    item = rng.choice(kblocks, events, p=popular / popular.sum())
    at = (born[item] + rng.exponential(2 * 24 * HOUR, events)).astype(np.int64)
    order = np.argsort(at)
    chosen = rng.choice(readers, events, p=weights / weights.sum())
    nothing = np.full(events, -1)
    log = EventLog(
        tuple(map(str, range(readers))), tuple(map(str, range(kblocks))), (),
        chosen[order], item[order], nothing,
        (rng.random(events) < 0.2).astype(np.int64), at[order] + 17_000 * 24 * HOUR, nothing,
    )  # fmt: skip
    for name, settings in (
        ("last hour", DetectorSettings(since=int(log.at[-1]) - HOUR)),
        ("full", DetectorSettings()),
    ):
        for detector in (*((each,) for each in DETECTORS), DETECTORS):
            begin = time.process_time()
            found = run_detectors(log, settings=settings, detectors=detector)
            took = time.process_time() - begin
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            title = detector[0].name if len(detector) == 1 else "ALL"
            print(
                json.dumps(
                    {
                        "run": name, "detector": title, "cpu_seconds": round(took, 2),
                        "peak_mib": peak, "alerts": len(found.alerts),
                        "failures": dict(found.failures),
                    }
                )
            )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
