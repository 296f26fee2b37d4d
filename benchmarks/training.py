"""Time and memory of training on a large log, compared with the libraries alone.

    python -m benchmarks.training
    python -m benchmarks.training --events 100000 --kblocks 10000 --readers 2000 --runs 1

The log is synthetic and determined by a seed. K-Blocks appear continuously, their popularity
follows Zipf's law, and most events are in a K-Block's first days. Readers of a cluster share
interests.

Each run of `train_and_measure`, which `harken train` calls, has its own process. Its peak of memory
is `ru_maxrss` and includes the log. Seconds are processor time. Then LightGBM is called directly on
the same training matrices, and `implicit` on the same matrix as the iALS of `factorization.py`. The
order of contestants is random in each round.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.services.evaluation.holdout import train_and_measure
from harken.services.features.names import NAMES
from harken.services.features.state import Features
from harken.services.learning import rolling_training
from harken.services.learning.candidate_generation import CandidateGenerator
from harken.services.learning.factorization import Factors
from harken.services.learning.impressions import Event
from harken.services.learning.interaction_matrix import Interactions, Interest
from harken.services.learning.ranker import Example, RankerSettings, train
from harken.services.readers.history import Touch

DAY = 86_400
START = 1_700_000_000
FACTORS, ITERATIONS, PENALTY, BELIEF = 64, 15, 30.0, 4.0
KEPT = "kept"
"""The clock for time that is not part of training."""
PATIENCE = 20
"""The number of trees without improvement after which LightGBM's early stopping stops."""


class Size(NamedTuple):
    """The size of a log."""

    events: int
    kblocks: int
    readers: int
    days: int = 90
    clusters: int = 50


def make(size: Size, seed: int) -> list[Event]:
    """Generate a log in the order of time."""
    rng = np.random.default_rng(seed)
    popular = rng.permutation(1 / np.arange(1, size.kblocks + 1))
    drawn = rng.choice(size.kblocks, size.events - size.kblocks, p=popular / popular.sum())
    kblock = np.concatenate(
        [np.arange(size.kblocks), drawn]
    )  # the first event of each K-Block is its author's
    born = rng.random(size.kblocks) * size.days * DAY
    at = born[kblock] + rng.exponential(0.5 * DAY, size.events)
    at = np.minimum(at, size.days * DAY + rng.random(size.events) * DAY)
    at[: size.kblocks] = born
    reader = _readers(size, kblock, rng)
    action = np.searchsorted([0.8, 0.98], rng.random(size.events)).tolist()
    dwell = rng.lognormal(10, 1, size.events).astype(int).tolist()
    readers = [f"u{number}" for number in range(size.readers)]
    kblocks = [f"k{number}" for number in range(size.kblocks)]
    actions = ("view", "engage", "dismiss")
    return [
        Event(
            Touch(
                readers[reader[n]], kblocks[kblock[n]], actions[action[n]], None,
                dwell[n] if action[n] == 0 else None, int((START + at[n]) * 1e6),
            )
        )
        for n in np.argsort(at, kind="stable").tolist()
    ]  # fmt: skip


def _readers(size: Size, kblock: NDArray[np.intp], rng: np.random.Generator) -> Any:
    """Draw readers, mostly from a K-Block's cluster; some are much more active than others."""
    each = size.readers // size.clusters
    activity = rng.pareto(1.2, (size.clusters, each)) + 1
    shares = (activity / activity.sum(axis=1, keepdims=True)).cumsum(axis=1)
    of_kblock = rng.integers(size.clusters, size=size.kblocks)
    anywhere = rng.integers(size.clusters, size=size.events)
    cluster = np.where(rng.random(size.events) < 0.7, of_kblock[kblock], anywhere)
    steps = np.arange(size.clusters)[:, None]
    # Cumulative shares of the clusters in one array: one search finds a reader of a cluster.
    found = np.searchsorted((shares + steps).ravel(), cluster + rng.random(size.events))
    return np.minimum(found, size.clusters * each - 1)


# One run in its own process


def run(size: Size, seed: int, folder: Path) -> dict[str, Any]:
    """Train once, and write the training matrices to a folder."""
    clocks = {"first stage": 0.0, "features": 0.0, "LightGBM": 0.0}
    log = make(size, seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _time(CandidateGenerator, "narrow", clocks, "first stage")
    _time(Features, "matrix", clocks, "features")
    _time(
        rolling_training, "train", clocks, "LightGBM", lambda examples, _: _keep(examples, folder)
    )
    began = time.process_time()
    trained = train_and_measure(log)
    total = time.process_time() - began
    metadata = trained.model.metadata
    return {
        "seconds": {
            "replay, scores, intervals": total - sum(clocks.values()),
            **{name: seconds for name, seconds in clocks.items() if name != KEPT},
        },
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "log_mb": before / 1e3,
        "examples": metadata["examples"],
        "trees": metadata["trees"],
        "skipped": trained.skipped,
        "impressions": trained.found.impressions,
        "measurable": trained.measurable,
        "reason": trained.verdict().reason,
    }  # fmt: skip


def _time(
    owner: Any, name: str, clocks: dict[str, float], what: str,
    first: Callable[..., None] = lambda *_: None,
) -> None:  # fmt: skip
    """Add a function's processor seconds to a clock, without those of `first`."""
    function = getattr(owner, name)

    def timed(*args: Any) -> Any:
        kept = time.process_time()
        first(*args)
        began = time.process_time()
        clocks[KEPT] = clocks.get(KEPT, 0.0) + began - kept
        try:
            return function(*args)
        finally:
            clocks[what] += time.process_time() - began

    setattr(owner, name, timed)


def _keep(examples: list[Example], folder: Path) -> None:
    """Write the examples to files one by one, since a copy in memory would count as training's."""
    with (folder / "matrix").open("wb") as file:
        for example in examples:
            file.write(example.matrix.tobytes())
    np.save(folder / "grades.npy", np.concatenate([example.grades for example in examples]))
    np.save(folder / "sizes.npy", np.array([len(example.grades) for example in examples]))


# The libraries, called directly


def compare(size: Size, seed: int, folder: Path) -> dict[str, float]:
    """Time each contestant once on the matrices of a run."""
    grades, sizes = np.load(folder / "grades.npy"), np.load(folder / "sizes.npy")
    matrix = np.fromfile(folder / "matrix", np.float32).reshape(len(grades), len(NAMES))
    ends = np.cumsum(sizes)
    examples = [
        Example(number, matrix[end - count : end], grades[end - count : end])
        for number, (end, count) in enumerate(zip(ends.tolist(), sizes.tolist(), strict=True))
    ]
    settings = RankerSettings()
    cut = len(sizes) - max(1, round(len(sizes) * settings.validation))
    known = _interactions(make(size, seed))
    contestants: dict[str, Callable[[], Any]] = {
        "train": lambda: train(examples, settings),
        "LightGBM, stopped early": lambda: _lightgbm(matrix, grades, sizes, cut, settings),
        "LightGBM, stopped early and again on all": lambda: _lightgbm(
            matrix, grades, sizes, cut, settings, again=True
        ),
        "Factors.fit": lambda: Factors.fit(known, FACTORS, PENALTY, BELIEF, ITERATIONS),
        "implicit": lambda: _implicit(known),
    }
    found = {}
    for name in np.random.default_rng().permutation(list(contestants)).tolist():
        began = time.process_time()
        contestants[name]()
        found[name] = time.process_time() - began
    return found


def _interactions(log: list[Event]) -> Interactions:
    weights = {"view": 0.5, "engage": 1.0}
    return Interactions.from_interests(
        Interest(touch.user_id, touch.kblock_id, weights[touch.action])
        for touch, *_ in log if touch.action in weights
    )  # fmt: skip


def _lightgbm(
    matrix: Any, grades: Any, sizes: Any, cut: int, settings: RankerSettings, *,
    again: bool = False,
) -> Any:  # fmt: skip
    import lightgbm  # noqa: PLC0415 — an extra

    rows = int(sizes[:cut].sum())
    parameters = settings.parameters()
    earlier = lightgbm.Dataset(matrix[:rows], grades[:rows], group=sizes[:cut])
    latest = lightgbm.Dataset(matrix[rows:], grades[rows:], group=sizes[cut:], reference=earlier)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    found = lightgbm.train(
        parameters, earlier, settings.rounds, valid_sets=[latest], callbacks=[stop]
    )
    if not again:
        return found
    whole = lightgbm.Dataset(matrix, grades, group=sizes)
    return lightgbm.train(parameters, whole, max(1, found.best_iteration))


def _implicit(known: Interactions) -> Any:
    from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 — an extra
    from scipy.sparse import csr_matrix  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    believed = 1 + (BELIEF - 1) * known.weights
    shape = (known.users, len(known.items))
    model = AlternatingLeastSquares(
        FACTORS, regularization=PENALTY, alpha=1.0, iterations=ITERATIONS, use_cg=False,
        random_state=0,
    )  # fmt: skip
    with threadpool_limits(1, "blas"):
        model.fit(csr_matrix((believed, known.columns, known.starts), shape), show_progress=False)
    return model


# The command


def main() -> int:
    options = _parse()
    size = Size(options.events, options.kblocks, options.readers)
    if options.child:
        work = run if options.child == "run" else compare
        sys.stdout.write(json.dumps(work(size, options.seed, options.folder)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        runs = [_child("run", options, folder) for _ in range(options.runs)]
        rounds = [_child("compare", options, folder) for _ in range(options.rounds)]
    figures = {"runs": runs, "rounds": rounds}
    sys.stdout.write(_report(runs, rounds))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--kblocks", type=int, default=100_000)
    parser.add_argument("--readers", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3, help="number of training runs")
    parser.add_argument(
        "--rounds", type=int, default=3, help="number of comparisons with the libraries"
    )
    parser.add_argument("--seed", type=int, default=20_251_225)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run")
    parser.add_argument("--child", choices=("run", "compare"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _child(what: str, options: argparse.Namespace, folder: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.training", f"--child={what}", f"--folder={folder}"]
    command += [f"--{name}={getattr(options, name)}" for name in (*Size._fields[:3], "seed")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    sys.stderr.write(f"{found}\n")
    return found


def _report(runs: list[dict[str, Any]], rounds: list[dict[str, float]]) -> str:
    lines = ["| stage | processor seconds |", "|---|---:|"]
    lines += [
        f"| {stage} | {_spread([each['seconds'][stage] for each in runs])} |"
        for stage in (runs[0]["seconds"] if runs else ())
    ]
    if runs:
        lines.append(f"| all | {_spread([sum(each['seconds'].values()) for each in runs])} |")
        lines.append(f"| peak of memory, MB | {_spread([each['memory_mb'] for each in runs])} |")
        lines.append(f"| … of the log alone, MB | {_spread([each['log_mb'] for each in runs])} |")
    lines += ["", "| what | seconds | ours ÷ theirs |", "|---|---:|---:|"]
    for ours, theirs in (("train", "LightGBM"), ("Factors.fit", "implicit")):
        for name in rounds[0] if rounds else ():
            if name == ours or name.startswith(theirs):
                ratios = [each[ours] / each[name] for each in rounds]
                ratio = "" if name == ours else _spread(ratios, ".2f")
                lines.append(f"| {name} | {_spread([each[name] for each in rounds])} | {ratio} |")
    return "\n".join(lines) + "\n"


def _spread(values: list[float], form: str = ".0f") -> str:
    least, most = min(values), max(values)
    return f"{median(values):{form}} ({least:{form}}–{most:{form}})"


if __name__ == "__main__":
    sys.exit(main())
