"""Accuracy and speed of collaborative filtering on held-out interests.

    python -m benchmarks.collaborative --ratings ml-100k.inter
    python -m benchmarks.collaborative --ratings ml-100k.inter --tune
    python -m benchmarks.collaborative --scale

The file is MovieLens 100k in RecBole's format: tab-separated, with a header that names user_id,
item_id and rating (the part of a name after a colon is ignored). The original u.data, without a
header, works too. Harken does not include the file.

A rating of 4 or 5 is an interest; lower ratings are ignored. A random fifth of each reader's
interests is hidden. All items except the reader's known ones are ranked. NDCG@10 is the mean over
readers; the ideal order has the hidden items first. `--tune` hides a fifth of the known interests
instead; parameters were chosen on these.
"""

import argparse
import csv
import json
import sys
import time
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from harken.services.learning import collaborative
from harken.services.learning.collaborative import Blend
from harken.services.learning.factorization import Factors
from harken.services.learning.interaction_matrix import Interactions, Interest
from harken.services.learning.neighbours import Ease, ItemNeighbours

HIDDEN = 0.2
FIRST = 10
LEAST_RATING = 4


class Popularity:
    """The number of readers of each item: the baseline."""

    name = "popularity"

    def __init__(self, known: Interactions) -> None:
        self.counts = np.bincount(known.columns, minlength=len(known.items)).astype(np.float32)

    @classmethod
    def fit(cls, known: Interactions) -> "Popularity":
        return cls(known)

    def scores(self, _items: Any, _weights: Any) -> Any:
        return self.counts.copy()


class Contestant(NamedTuple):
    """A method and its parameters."""

    method: Any
    parameters: Mapping[str, Any] = MappingProxyType({})

    def fit(self, known: Interactions, seed: int) -> Any:
        drawn = {"seed": seed} if self.method in {Factors, Blend} else {}
        return self.method.fit(known, **self.parameters, **drawn)


METHODS = {
    "popularity": Contestant(Popularity),
    "neighbours": Contestant(ItemNeighbours),
    "ease, every reader weighs the same": Contestant(Ease, {"debias": 0.0}),
    "ease": Contestant(Ease),
    "factors": Contestant(Factors),
    "blend": Contestant(Blend),
}

GRID: list[tuple[Any, dict[str, tuple[float, ...]]]] = [
    (ItemNeighbours, {"neighbours": (20, 50, 100, 200), "shrinkage": (0, 10, 30)}),
    (Ease, {"regularization": (100.0, 200.0, 400.0), "debias": (0.0, 0.25, 0.5, 0.75)}),
    *(
        (Factors, {"factors": (32, 64, 128), "regularization": (penalty,), "confidence": (belief,)})
        for penalty, belief in ((20.0, 3.0), (25.0, 4.0), (30.0, 4.0), (35.0, 5.0))
    ),
    (Blend, {"share": (0.3, 0.5, 0.7, 0.9)}),
]  # fmt: skip


def grid() -> dict[str, Contestant]:
    """Return all combinations of parameters to compare."""
    found = {}
    for method, choices in GRID:
        for values in product(*choices.values()):
            parameters = dict(zip(choices, values, strict=True))
            text = ", ".join(f"{name} {value:g}" for name, value in parameters.items())
            found[f"{method.name}: {text}"] = Contestant(method, parameters)
    return found


class Run(NamedTuple):
    """The result of one method with one seed."""

    method: str
    seed: int
    ndcg: float
    fit_seconds: float
    score_ms: float


def main() -> int:
    options = _parse()
    if options.scale:
        sys.stdout.write(_scaled())
        return 0
    interests = read(options.ratings)
    runs = []
    for seed in range(options.seeds):
        known, hidden = split(interests, seed)
        if options.tune:
            known, hidden = split(known, 1_000 + seed)
        for name, contestant in (grid() if options.tune else METHODS).items():
            runs.append(measure(name, contestant, known, hidden, seed))
            sys.stderr.write(_line(runs[-1]))
    sys.stdout.write(_table(runs))
    if options.json:
        options.json.write_text(json.dumps([run._asdict() for run in runs], indent=2))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.collaborative",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--ratings", type=Path, metavar="FILE")
    wanted.add_argument("--scale", action="store_true", help="time larger synthetic catalogues")
    parser.add_argument("--tune", action="store_true", help="compare parameters instead")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run")
    return parser.parse_args()


def read(path: Path) -> list[Interest]:
    """Read the interests from a file of ratings."""
    with path.open(encoding="latin-1", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    names = ["user_id", "item_id", "rating"]
    if not rows[0][0].isdigit():
        names = [name.partition(":")[0] for name in rows.pop(0)]
    user, item, rating = (names.index(name) for name in ("user_id", "item_id", "rating"))
    return [Interest(row[user], row[item]) for row in rows if float(row[rating]) >= LEAST_RATING]


def split(interests: Iterable[Interest], seed: int) -> tuple[list[Interest], list[Interest]]:
    """Hide a fifth of each reader's interests; returns the known and the hidden ones."""
    rng = np.random.default_rng(seed)
    by_user: dict[str, list[Interest]] = {}
    for interest in interests:
        by_user.setdefault(interest.user_id, []).append(interest)
    known: list[Interest] = []
    hidden: list[Interest] = []
    for theirs in by_user.values():
        order = rng.permutation(len(theirs))
        count = round(len(theirs) * HIDDEN)
        hidden += [theirs[place] for place in order[:count]]
        known += [theirs[place] for place in order[count:]]
    return known, hidden


def measure(
    name: str, contestant: Contestant, known: list[Interest], hidden: list[Interest], seed: int
) -> Run:
    """Fit a method to the known interests, and measure how it ranks the hidden ones."""
    # Items without a known interest are unknown to every method; they count as misses.
    interactions = Interactions.from_interests(known)
    began = time.perf_counter()
    method = contestant.fit(interactions, seed)
    fitted = time.perf_counter() - began
    places = {item: place for place, item in enumerate(interactions.items)}
    wanted: dict[str, set[int]] = {}
    for number, interest in enumerate(hidden):
        place = places.get(interest.item_id, -1 - number)
        wanted.setdefault(interest.user_id, set()).add(place)
    histories: dict[str, list[int]] = {}
    for interest in known:
        histories.setdefault(interest.user_id, []).append(places[interest.item_id])
    began, gains = time.perf_counter(), []
    for user, theirs in wanted.items():
        history = np.array(histories.get(user, []), np.intp)
        scores = method.scores(history, np.ones(len(history), np.float32))
        scores[history] = -np.inf
        gains.append(ndcg(np.argsort(-scores, kind="stable")[:FIRST].tolist(), theirs))
    scored = time.perf_counter() - began
    return Run(name, seed, float(np.mean(gains)), fitted, scored / len(wanted) * 1_000)


def ndcg(first: list[int], wanted: set[int]) -> float:
    """Return the discounted gain of an order, as a share of the best possible."""
    gain = sum(1 / np.log2(place + 2) for place, item in enumerate(first) if item in wanted)
    best = sum(1 / np.log2(place + 2) for place in range(min(len(wanted), FIRST)))
    return float(gain / best)


def _line(run: Run) -> str:
    return (
        f"{run.method:44} seed {run.seed}: NDCG@10 {run.ndcg:.4f}, fit {run.fit_seconds:.2f} s, "
        f"a reader {run.score_ms:.2f} ms\n"
    )


def _table(runs: list[Run]) -> str:
    lines = [f"{'method':44} {'NDCG@10':>8} {'range':>15} {'fit, s':>8} {'a reader, ms':>13}"]
    for name in dict.fromkeys(run.method for run in runs):
        of_method = [run for run in runs if run.method == name]
        found = [run.ndcg for run in of_method]
        spread = f"{min(found):.4f}…{max(found):.4f}"
        seconds = np.median([run.fit_seconds for run in of_method])
        per_reader = np.median([run.score_ms for run in of_method])
        lines.append(
            f"{name:44} {np.mean(found):8.4f} {spread:>15} {seconds:8.2f} {per_reader:13.2f}"
        )
    return "\n".join(lines) + "\n"


def _scaled(readers: int = 5_000, each: int = 40) -> str:
    """Time each method on synthetic logs of larger catalogues."""
    lines = [f"{'items':>8} {'method':12} {'fit, s':>8} {'a reader, ms':>13} {'MB':>6}"]
    for items in (1_000, 3_000, 10_000, 30_000):
        rng = np.random.default_rng(0)
        popular = np.minimum(rng.pareto(1.0, (readers, each)) * items / 50, items - 1)
        interests = [
            Interest(f"u{user}", f"i{item:06}")
            for user, row in enumerate(popular.astype(int).tolist())
            for item in row
        ]
        interests += [Interest(f"u{item % readers}", f"i{item:06}") for item in range(items)]
        known = Interactions.from_interests(interests)
        for name in ("ease", "neighbours", "factors"):
            if name == "ease" and items > collaborative.MAX_DENSE_ITEMS:
                continue
            began = time.perf_counter()
            method = METHODS[name].fit(known, 0)
            fitted = time.perf_counter() - began
            began = time.perf_counter()
            for user in range(20):
                theirs = known.columns[known.starts[user] : known.starts[user + 1]]
                method.scores(theirs, np.ones(len(theirs), np.float32))
            scored = (time.perf_counter() - began) / 20 * 1_000
            room = sum(array.nbytes for array in method.arrays().values()) / 1e6
            lines.append(f"{items:8} {name:12} {fitted:8.2f} {scored:13.2f} {room:6.0f}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
