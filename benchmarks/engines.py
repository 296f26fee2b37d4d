"""Training rows by Polars, DuckDB and Spark: time, and how far they differ.

    python -m benchmarks.engines
    python -m benchmarks.engines --engines polars duckdb --log log.parquet --choices 12000

The log is that of `benchmarks.training`, or a Parquet file that `harken export` wrote. Each run has
its own process; the order of engines is random in each round. Spark runs as `harken train --engine
spark` runs it by default: two executors of one core on this machine. `start` is the time until an
engine is ready, `rows` that until its rows are here, `neighbours` that until the item-to-item
neighbours of the same log are, if there are any; all are of the clock on the wall. With
`--kill`, one of Spark's executors is killed as the rows are half done. The model is trained on the
rows with the default settings; its NDCG@10 is that of early stopping.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.support.engine_logs import subjects
from tests.support.spark import executors

from benchmarks.training import Size, make
from harken.services.learning.collaborative import Collaborative
from harken.services.learning.engines import LOCAL_CLUSTER
from harken.services.learning.engines.choices import ChoiceRange
from harken.services.learning.engines.engines import engine_of
from harken.services.learning.engines.training import compute_neighbours, compute_rows, fit_rows
from harken.services.learning.engines.training_rows import RELATIONAL
from harken.services.learning.event_files import EventFiles
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.readers.affinities import AffinitySettings

DAY = 86_400_000_000
KEPT_BEFORE_KILL = 5
"""So many of the relations that are kept on the way are done when an executor is killed."""


def write_log(path: Path, events: int) -> None:
    """Write a synthetic log as `harken export` would."""
    log = make(Size(events, events // 10, events // 50), 0)
    columns = {
        "interaction_id": [f"{number:09d}" for number in range(len(log))],
        "user_id": [each.touch.user_id for each in log],
        "kblock_id": [each.touch.kblock_id for each in log],
        "action": [each.touch.action for each in log],
        "dwell_time_ms": pa.array([each.touch.dwell_time_ms for each in log], pa.int64()),
        "session_id": pa.array([None] * len(log), pa.string()),
        "occurred_at": pa.array([each.touch.at for each in log], pa.timestamp("us", tz="UTC")),
    }
    pq.write_table(pa.table(columns), path)


def run(engine: str, log: Path, choices: int, to: Path, *, kill: bool) -> dict[str, float]:
    """Compute the rows once, and write them to a file."""
    times = pq.read_table(log, columns=["occurred_at"])["occurred_at"].cast(pa.int64())
    until = max(times.to_pylist()) - 7 * DAY
    extent = ChoiceRange(until - 365 * DAY, until, choices, 100, 0, 30 * DAY)
    nothing = pa.table(
        {"kblock": pa.array([], pa.string()), "created_at": pa.array([], pa.int64())}
    )
    files = EventFiles([log], nothing, *subjects())
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        engine_of(engine, Path(folder), LOCAL_CLUSTER) as made,
    ):
        started = time.perf_counter()
        if kill:
            _kill_on_the_way(made)
        rows = compute_rows(made, files, extent, AffinitySettings())
        ended = time.perf_counter()
        neighbours = compute_neighbours(made, files, until, AffinitySettings())
        found = time.perf_counter()
    order = [(name, "ascending") for name in ("asked_at", "request", "kblock")]
    pq.write_table(rows.sort_by(order), to)
    if neighbours is not None:
        neighbours.save(to.with_suffix(".npz"))
    return {"start": started - began, "rows": ended - started, "neighbours": found - ended}


def _kill_on_the_way(engine: Any) -> None:
    keep, count = engine.keep, iter(range(1_000))

    def killing(frame: Any) -> Any:
        if next(count) == KEPT_BEFORE_KILL:
            executors()[0].kill()
        return keep(frame)

    engine.keep = killing


def in_process(engine: str, arguments: argparse.Namespace, log: Path, to: Path) -> dict[str, float]:
    """Run in a process of its own."""
    own = ["--one", engine, "--log", str(log), "--to", str(to), "--choices", str(arguments.choices)]
    kill = ["--kill"] if arguments.kill and engine == "spark" else []
    command = [sys.executable, "-m", "benchmarks.engines", *own, *kill]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(paths: dict[str, Path]) -> None:
    """Print how far rows differ from those of the first engine, and the quality of the models."""
    first, *_ = paths
    expected = pq.read_table(paths[first])
    for engine, path in paths.items():
        rows = pq.read_table(path)
        same = all(
            rows[name].to_pylist() == expected[name].to_pylist()
            for name in ("request", "kblock", "grade")
        )
        pairs = ((rows[name].to_numpy(), expected[name].to_numpy()) for name in RELATIONAL)
        worst = max(float(np.abs(one - other).max(initial=0.0)) for one, other in pairs)
        model = fit_rows(rows, TrainingSettings())
        ndcg = "none" if model is None else f"{model.metadata['metrics']['ndcg@10']:.9f}"
        alike = "none"
        if (of_engine := path.with_suffix(".npz")).exists():
            own = Collaborative.load(of_engine)
            other = Collaborative.load(paths[first].with_suffix(".npz"))
            arrays = zip(own.method.arrays().values(), other.method.arrays().values(), strict=True)
            is_equal = own.items == other.items and all(np.allclose(*pair) for pair in arrays)
            alike = f"of {len(own.items)} K-Blocks {'equal' if is_equal else 'DIFFER'}"
        print(
            f"{engine}: neighbours {alike}, {len(rows)} rows, candidates and grades "
            f"{'equal' if same else 'DIFFER'}, features differ by {worst:.1e}, NDCG@10 {ndcg}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", default=["polars", "duckdb", "spark"])
    parser.add_argument("--log", type=Path)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--choices", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one = run(
            arguments.one, arguments.log, arguments.choices, arguments.to, kill=arguments.kill
        )
        print(json.dumps(one))
        return
    with tempfile.TemporaryDirectory() as folder:
        log = arguments.log
        if log is None:
            log = Path(folder) / "log.parquet"
            write_log(log, arguments.events)
        paths = {each: Path(folder) / f"{each}.parquet" for each in arguments.engines}
        times: dict[str, list[dict[str, float]]] = {each: [] for each in arguments.engines}
        for _ in range(arguments.rounds):
            for engine in random.sample(arguments.engines, len(arguments.engines)):
                found = in_process(engine, arguments, log, paths[engine])
                print(f"{engine}: {found}", flush=True)
                times[engine].append(found)
        for engine, each_run in times.items():
            parts = []
            for name in ("start", "rows", "neighbours"):
                own = sorted(each[name] for each in each_run)
                parts.append(f"{name} {median(own):.1f} s ({own[0]:.1f}–{own[-1]:.1f})")
            print(f"{engine}: {', '.join(parts)}")
        compare(paths)


if __name__ == "__main__":
    main()
