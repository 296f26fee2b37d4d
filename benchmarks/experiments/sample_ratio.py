"""The sample-ratio test: false alarms, and a fault in which one arm loses 3 % of its readers.

Two arms by a coin, 100,000 readers assigned; the test is looked at after each reader.
"""

import math

import numpy as np

from benchmarks.experiments.lines import Line, pieces, share
from harken.services.experiments.analysis.moments import MetricValues
from harken.services.experiments.analysis.plan import DAY, AnalysisPlan, MetricPlan, Readers
from harken.services.experiments.analysis.results import analyse
from harken.services.experiments.analysis.sample_ratio import ALPHA, log_evidence

RUNS, FAULTY_RUNS, READERS, PIECE, SEED = 2_000, 1_000, 100_000, 20, 20_262
LOST = 0.03
HALF = np.array([0.5, 0.5])


def sample_ratio() -> list[Line]:
    chance = np.random.default_rng(SEED)
    alarms = sum(
        int(_fires(chance.integers(0, 2, (size, READERS))).sum()) for size in pieces(RUNS, PIECE)
    )
    found = sum(int(_fires(_faulty(chance, size)).sum())
                for size in pieces(FAULTY_RUNS, PIECE))  # fmt: skip
    most = ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
    return [
        Line("sample ratio, A/A: alarms at any of 100,000 readers", share(alarms, RUNS),
             f"≤ {most:.2%}", alarms <= most * RUNS),
        Line("sample ratio: found that one arm loses 3 %", share(found, FAULTY_RUNS), "≥ 80 %",
             found >= 0.8 * FAULTY_RUNS),
        _blocked(chance),
    ]  # fmt: skip


def _faulty(chance: np.random.Generator, size: int) -> np.ndarray:
    """Return the arms of those readers of 100,000 who are left (runs × readers)."""
    # Arm 1 alone loses readers. Each run keeps as many as are left on average.
    odds = 0.5 * (1 - LOST) / (1 - 0.5 * LOST)
    kept = round(READERS * (1 - 0.5 * LOST))
    return (chance.random((size, kept)) < odds).astype(np.int64)


def _fires(arms: np.ndarray) -> np.ndarray:
    fired: np.ndarray = log_evidence(arms, HALF).max(axis=1) >= -math.log(ALPHA)
    return fired


def _blocked(chance: np.random.Generator) -> Line:
    """Return whether the verdict is withheld in all of 20 experiments with a found fault."""
    withheld = tried = 0
    plan = AnalysisPlan(("old", "new"), MetricPlan("engaged"), READERS)
    while tried < 20:
        arms = _faulty(chance, 1)[0]
        if not _fires(arms[None])[0]:
            continue
        tried += 1
        readers = Readers(arms, np.linspace(0, 10 * DAY, len(arms)), HALF)
        engaged = chance.poisson(1.0 + 0.2 * arms).astype(np.float64)
        found = analyse(plan, readers, {"engaged": MetricValues(engaged)}, 30 * DAY)
        withheld += found.verdicts["new"].outcome == "no_verdict"
    return Line(
        "sample ratio: verdict withheld where it fired, of a true lift of 20 %",
        f"{withheld} of {tried}", "all", withheld == tried,
    )  # fmt: skip
