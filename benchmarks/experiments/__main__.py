"""What the statistics of experiments promise, on simulated readers and on real tests.

    python -m benchmarks.experiments                        all, some ten minutes on two cores
    python -m benchmarks.experiments --only aa sample-ratio
    python -m benchmarks.experiments --list

Seeds are fixed. Benchmarks, and parts of long ones, run in processes side by side. The exit status
is 1 where a line misses its mark. docs/experiments-statistics.md says what each line means.
"""

import argparse
import importlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.experiments.lines import Line, Parts

# The module and the name of each benchmark; modules are imported when they are asked for.
BENCHMARKS = {
    "aa": ("false_alarms", "aa"),
    "aa-adaptive": ("false_alarms", "adaptive"),
    "aa-adaptive-service": ("adaptive_service", "ADAPTIVE_SERVICE"),
    "coverage": ("precision", "coverage"),
    "power": ("precision", "power"),
    "cuped": ("precision", "cuped"),
    "tea-tasting": ("precision", "agreement"),
    "sample-ratio": ("sample_ratio", "sample_ratio"),
    "interleaving": ("interleaving", "interleaving"),
    "promotion": ("promotion", "promotion"),
    "replay-rule": ("replay_rule", "replay_rule"),
    "service": ("service", "SERVICE"),
    "upworthy": ("upworthy", "upworthy"),
    "assignment": ("assignment", "assignment"),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.experiments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=[*BENCHMARKS], metavar="NAME")
    parser.add_argument("--list", action="store_true", help="print the names of the benchmarks")
    parser.add_argument("--json", type=Path, metavar="FILE")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--processes", type=int, default=cores, help=f"default: {cores}")
    options = parser.parse_args()
    if options.list:
        sys.stdout.write("".join(f"{name}\n" for name in BENCHMARKS))
        return 0
    _say("| benchmark | what | measured | mark | reached |\n|---|---|---|---|---|\n")
    began = time.perf_counter()
    found = _measured(options.only or [*BENCHMARKS], options.processes)
    missed = sum(line.reached is False for lines in found.values() for line in lines)
    _say(f"\n{(time.perf_counter() - began) / 60:.1f} minutes, {missed} missed\n")
    if options.json:
        options.json.write_text(
            json.dumps(
                {name: [*map(Line._asdict, lines)] for name, lines in found.items()}, indent=2
            )
        )
    return 1 if missed else 0


class Ran(NamedTuple):
    """What a part returned, and the seconds of processor time that it took."""

    found: Any
    seconds: float


def _measured(names: Sequence[str], processes: int) -> dict[str, Sequence[Line]]:
    """Run benchmarks, and print the lines of each when all of its parts are done."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"  # there is a process for each core already
    found = {}
    # Forks of a process that has started threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context) as pool:
        running = {
            name: [pool.submit(_part, name, place) for place in range(len(_load(name).given))]
            for name in names
        }
        for name, parts in running.items():
            found[name] = _finished(name, parts)
    return found


def _finished(name: str, parts: Sequence[Future[Ran]]) -> Sequence[Line]:
    done = [part.result() for part in parts]
    lines = _load(name).lines([each.found for each in done])
    for line in lines:
        reached = {None: "", True: "yes", False: "MISSED"}[line.reached]
        _say(f"| {name} | {line.what} | {line.figure} | {line.mark} | {reached} |\n")
    seconds = sum(each.seconds for each in done)
    sys.stderr.write(f"{name}: {seconds:.0f} s of processor time\n")
    return lines


def _part(name: str, place: int) -> Ran:
    """Run one part of a benchmark, in a process of the pool."""
    parts = _load(name)
    begins = time.process_time()
    found = parts.run(parts.given[place])
    return Ran(found, time.process_time() - begins)


def _load(name: str) -> Parts:
    module, attribute = BENCHMARKS[name]
    found = getattr(importlib.import_module(f"benchmarks.experiments.{module}"), attribute)
    return found if isinstance(found, Parts) else Parts(_call, [found], _first)


def _call(function: Any) -> Any:
    return function()


def _first(found: Sequence[Sequence[Line]]) -> Sequence[Line]:
    return found[0]


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
