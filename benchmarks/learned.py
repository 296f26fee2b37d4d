"""Processor time to rank 500 candidates with a model: features and trees, on one core.

One process replays a log (synthetic, or --events FILE) and trains a model on it. Then the model
ranks the 500 newest K-Blocks for random readers. The personal score of the same candidates is
measured in turn with it.
"""

import argparse
import json
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np

from harken.domain.feedback import FeedbackAction
from harken.services.features.state import Features
from harken.services.learning.ranker import Model
from harken.services.learning.rolling_training import RollingRanker, TrainingSettings
from harken.services.readers.history import MICROS, Touch
from harken.services.record.files.log_reader import LogReader
from harken.services.record.files.mapping import LogMapping

CANDIDATES = 500
DAYS = 60


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learned", description=__doc__)
    parser.add_argument(
        "--events", type=Path, metavar="FILE", help="A log, as for `harken evaluate`."
    )
    parser.add_argument("--count", type=int, default=60_000, help="Number of synthetic events.")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20_251_225)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    log = read_log(options.events) if options.events else _made_up(options.count, options.seed)
    found = _measure(log, options.rounds, np.random.default_rng(options.seed))
    for name, figure in found.items():
        sys.stdout.write(f"{name:32} {figure:8.3f}\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))
    return 0


def read_log(file: Path) -> list[Touch]:
    """Return the events of a log, in its order."""
    reader = LogReader(LogMapping.parse((), (), None), lambda event: event)
    return [
        Touch(
            each.user_id, each.kblock_id, each.action, each.interaction_type, each.dwell_time_ms,
            round(each.occurred_at.timestamp() * MICROS),
        )
        for chunk in reader.chunks(file, None, lambda _done, _size: None)
        for _, each in chunk.events
        if each.occurred_at is not None
    ]  # fmt: skip


def _made_up(count: int, seed: int) -> list[Touch]:
    """Generate events of readers with ten tastes, who prefer new K-Blocks; about 30 per K-Block."""
    generator = np.random.default_rng(seed)
    kblocks, readers = count // 30, count // 150
    made = np.sort(generator.uniform(0, DAYS * 86_400, kblocks))
    of_taste = [np.arange(scorer, kblocks, 10) for scorer in range(10)]
    log = []
    for at in np.sort(generator.uniform(86_400, DAYS * 86_400, count)):
        reader = int(generator.integers(readers))
        mine = of_taste[reader % 10] if generator.random() < 0.7 else np.arange(kblocks)
        there = np.searchsorted(made[mine], at)
        if there:
            kblock = mine[max(0, there - 1 - int(generator.exponential(8)))]
            log.append(
                Touch(f"u{reader}", f"k{kblock}", FeedbackAction.VIEW, None, None, int(at * MICROS))
            )
    return log


def _measure(log: list[Touch], rounds: int, generator: np.random.Generator) -> dict[str, float]:
    span = timedelta(microseconds=log[-1].at - log[0].at)
    learned, features = RollingRanker(TrainingSettings(span - timedelta(days=1))), Features()
    for touch in log:
        learned.observe(touch)
        features.see(touch)
    now = log[-1].at + MICROS
    newest = list(dict.fromkeys(touch.kblock_id for touch in log))[-CANDIDATES:]
    learned.score(log[-1].user_id, newest[:30], now)
    model = learned.models[-1]
    readers = list({touch.user_id for touch in log[-20_000:]})
    taken: dict[str, list[float]] = {"features": [], "trees": [], "together": [], "personal": []}
    for _ in range(rounds):
        reader = readers[int(generator.integers(len(readers)))]
        began = time.process_time()
        matrix = features.matrix(reader, newest, now)
        between = time.process_time()
        _score(model, matrix)
        ended = time.process_time()
        features.affinities.score(reader, newest, now)
        taken["personal"].append(time.process_time() - ended)
        taken["features"].append(between - began)
        taken["trees"].append(ended - between)
        taken["together"].append(ended - began)
    found = {"candidates": float(len(newest)), "trees of the model": model.booster.num_trees()}
    for name, seconds in taken.items():
        median, most = np.quantile(np.array(seconds) * 1e3, [0.5, 0.95])
        found |= {f"{name}, median (ms)": float(median), f"{name}, p95 (ms)": float(most)}
    return found


def _score(model: Model, matrix: np.ndarray) -> None:
    scores = model.score(matrix)
    assert scores.shape == (len(matrix),)


if __name__ == "__main__":
    raise SystemExit(main())
