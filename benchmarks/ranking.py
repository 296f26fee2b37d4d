"""Ranking in memory: selecting the best 20 of a million K-Blocks, and applying changes.

The limit is the least work of any ranking: one matrix–vector product in single precision over the
same items, with the faster of the two memory layouts, on one thread. Harken also applies a filter
and the reader's dismissals, selects the best, and orders them in double precision.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np
import psutil

from harken.domain.decay import DEFAULT_HALF_LIVES
from harken.domain.feeds import DEFAULT_WEIGHTS, FeedFilter, FeedSource, Field, Operator, Weights
from harken.services.index.index import Index
from harken.services.index.ordering import Reader, best, scores
from harken.services.index.rows import IndexRow
from harken.services.index.selection import select

NOW = 1_790_000_000_000_000
WEEK = 7 * 86_400 * 1_000_000
TOP = 20
CHANGED = 1_000
READER = Reader(("principle-0", "principle-1"), NOW)
FILTER = (FeedFilter(Field.LOSS, Operator.BETWEEN, (0.0, 0.9)),)
SOURCES = (FeedSource(),)

Result = dict[str, Any]


def main() -> int:
    options = _parse()
    rows = []
    for order in ("random", "ascending"):
        index, grown = _index(options, order)
        figures = {"order": order, "memory_mb": grown / 1e6, **_top(index, options)}
        if order == "random":
            figures |= _refresh(index, options)
        rows.append(figures)
        sys.stderr.write(json.dumps(figures) + "\n")
        del index
    sys.stdout.write(_report(rows, options))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranking", description=__doc__)
    parser.add_argument("--kblocks", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seed", type=int, default=20_251_225)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    return parser.parse_args()


def _entries(options: argparse.Namespace) -> Iterator[list[IndexRow]]:
    rng = random.Random(options.seed)
    labels = [f'["principle-{i}", "principle-{i + 1}"]' for i in range(6)] + ["[]"]
    tags = [f'["tag-{i}", "tag-{i * 7 % 50}"]' for i in range(50)]
    for start in range(1, options.kblocks + 1, 10_000):
        yield [
            IndexRow(
                number=number,
                version=1,
                created=NOW - rng.randrange(20 * WEEK),
                layer=rng.randrange(8),
                galois_loss=rng.random(),
                kind="note",
                author=f"author-{rng.randrange(500)}",
                tags=rng.choice(tags),
                principles=rng.choice(labels),
                popularity=rng.randrange(100),
                attention=rng.random(),
            )
            for number in range(start, min(start + 10_000, options.kblocks + 1))
        ]


def _index(options: argparse.Namespace, order: str) -> tuple[Index, int]:
    """Return an index, and the growth of this process's memory in bytes."""
    if order == "ascending":
        whole = [entry for page in _entries(options) for entry in page]
        index = Index(NOW, DEFAULT_HALF_LIVES)
        index.put(whole)
        places = np.argsort(scores(index, DEFAULT_WEIGHTS, READER, np.arange(len(whole))))
        pages = iter([[whole[place] for place in places.tolist()]])
    else:
        pages = _entries(options)
    index = Index(NOW, DEFAULT_HALF_LIVES)
    before = psutil.Process().memory_info().rss
    for page in pages:
        index.put(page)
    index.newest(np.ones(len(index), np.bool_), 1)
    index.revision = 1
    return index, psutil.Process().memory_info().rss - before


def _top(index: Index, options: argparse.Namespace) -> Result:
    rng = np.random.default_rng(options.seed)
    dismissed = rng.integers(1, len(index), 200)
    weights = np.array(list(DEFAULT_WEIGHTS.values()), np.float32)
    by_row = rng.random((len(index), 4), dtype=np.float32)
    by_column = np.ascontiguousarray(by_row.T)

    def ours() -> Any:
        mask = select(index, SOURCES, FILTER, index.revision).copy()
        mask[index.versions(dismissed)] = False
        return best(index, DEFAULT_WEIGHTS, READER, mask, TOP)

    _check(index, ours(), dismissed, DEFAULT_WEIGHTS)
    times = _timed(
        {
            "ours": ours,
            "by_row": lambda: by_row @ weights,
            "by_column": lambda: weights @ by_column,
        },
        options,
    )
    limit = "by_row" if median(times["by_row"]) < median(times["by_column"]) else "by_column"
    ratios = [mine / least for mine, least in zip(times["ours"], times[limit], strict=True)]
    return {
        "ours_ms": 1000 * median(times["ours"]),
        "limit_ms": 1000 * median(times[limit]),
        "ratio": median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
    }


def _check(index: Index, rows: Any, dismissed: Any, weights: Weights) -> None:
    allowed = (index.loss <= 0.9) & ~np.isin(index.number, dismissed)
    exact = scores(index, weights, READER, np.arange(len(index)))
    exact[~allowed] = -np.inf
    expected = np.argsort(-exact)[:TOP]
    if not np.allclose(exact[rows], exact[expected], rtol=0, atol=1e-12):
        raise SystemExit("the ranking did not return the best K-Blocks")


def _timed(
    contestants: dict[str, Callable[[], Any]], options: argparse.Namespace
) -> dict[str, list[float]]:
    rng = random.Random(options.seed)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(options.rounds):
        for name in rng.sample(list(contestants), len(contestants)):
            began = time.perf_counter()
            contestants[name]()
            times[name].append(time.perf_counter() - began)
    return times


def _refresh(index: Index, options: argparse.Namespace) -> Result:
    """Time applying changed K-Blocks, including the work that they cause for the next page."""
    began = time.perf_counter()
    whole = Index(NOW, DEFAULT_HALF_LIVES)
    for page in _entries(options):
        whole.put(page)
    load = time.perf_counter() - began
    del whole
    rng = random.Random(options.seed)
    times = []
    for revision in range(2, 12):
        changed = [
            IndexRow(number, revision, NOW - rng.randrange(WEEK), 1, 0.5, "note", None, "[]", "[]")
            for number in rng.sample(range(1, options.kblocks), CHANGED)
        ]
        began = time.perf_counter()
        index.put(changed)
        index.newest(index.is_open, TOP)
        times.append(time.perf_counter() - began)
        index.revision = revision
    return {"refresh_ms": 1000 * median(times), "load_s": load, "refresh": median(times) / load}


def _report(rows: list[Result], options: argparse.Namespace) -> str:
    lines = [
        f"Best {TOP} of {options.kblocks:,}, a filter, 200 dismissed, {options.rounds} rounds:", "",
        "| order of rows | ours ms | limit ms | ours ÷ limit (least–greatest) | memory MB |",
        "|---|---:|---:|---:|---:|",
    ]  # fmt: skip
    for row in rows:
        least, most = row["ratio_range"]
        lines.append(
            f"| {row['order']} | {row['ours_ms']:.2f} | {row['limit_ms']:.2f} | "
            f"{row['ratio']:.2f} ({least:.2f}–{most:.2f}) | {row['memory_mb']:.0f} |"
        )
    first = rows[0]
    lines.append(
        f"\nApplying {CHANGED:,} changed K-Blocks: {first['refresh_ms']:.1f} ms, "
        f"1/{1 / first['refresh']:,.0f} of loading the whole index ({first['load_s']:.1f} s, "
        "without the database's share)."
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
