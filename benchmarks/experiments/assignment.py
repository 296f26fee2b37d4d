"""Assignment by hash: a million reader ids, in slots and arms.

Uniformity: χ² of 1,000 slots. Independence: χ² of the tables of slots in two layers and of arms in
two experiments (tenths by tenths). Exclusion: no id has an arm in both of two experiments that
share a layer. Time: microseconds of the processor to find slot and arm of one id, the median of 20
parts. The marks of χ² are p ≥ .001.
"""

import time
from statistics import median

import numpy as np
import scipy.stats

from benchmarks.experiments.lines import Line
from harken.services.experiments.assignment import SLOTS, arm_of, position, slot

IDS = 1_000_000
LEAST_P = 0.001
MOST_MICROSECONDS = 10.0
HALVES = {"old": 0.5, "new": 0.5}


def assignment() -> list[Line]:
    ids = [f"reader-{number}" for number in range(IDS)]
    layers = [np.array([slot(layer, each) for each in ids]) for layer in ("ranking", "design")]
    tenths = [np.array([int(position(salt, each) * 10) for each in ids]) for salt in ("a:1", "b:1")]
    uniform = scipy.stats.chisquare(np.bincount(layers[0], minlength=SLOTS)).pvalue
    lines = [
        _p("assignment: uniform over 1,000 slots", uniform),
        _p("assignment: slots of two layers are independent", _independent(*layers)),
        _p("assignment: arms of two experiments are independent", _independent(*tenths)),
        _p("assignment: arms are independent of slots", _independent(layers[0], tenths[0])),
    ]
    first, second = layers[0] < 500, layers[0] >= 500
    return [*lines, _exclusion(first, second), _time(ids)]


def _p(what: str, p: float) -> Line:
    return Line(what, f"p = {p:.3f}", f"≥ {LEAST_P:g}", bool(p >= LEAST_P))


def _independent(a: np.ndarray, b: np.ndarray) -> float:
    table = np.zeros((10, 10))
    np.add.at(table, (a * 10 // (a.max() + 1), b * 10 // (b.max() + 1)), 1)
    return float(scipy.stats.chi2_contingency(table).pvalue)


def _exclusion(first: np.ndarray, second: np.ndarray) -> Line:
    both, nobody = int((first & second).sum()), int((~first & ~second).sum())
    what = "assignment: ids in both of two experiments with slots 0–499 and 500–999 of a layer"
    return Line(what, f"{both} ({first.mean():.2%} and {second.mean():.2%}, {nobody} in none)",
                "0", both == nobody == 0)  # fmt: skip


def _time(ids: list[str]) -> Line:
    part = len(ids) // 20
    taken = []
    for start in range(0, len(ids), part):
        began = time.process_time()
        for each in ids[start : start + part]:
            slot("ranking", each)
            arm_of("a:1", each, HALVES)
        taken.append((time.process_time() - began) / part * 1e6)
    found = median(taken)
    return Line("assignment: slot and arm of one id", f"{found:.1f} µs ({min(taken):.1f}–"
                f"{max(taken):.1f})", "≤ 10 µs", found <= MOST_MICROSECONDS)  # fmt: skip
