"""Runs benchmarks of experiments, and parts of long ones, in processes side by side.

Processes of the pool import this module by its name, which they cannot do with `__main__`.
"""

import importlib
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
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


class Ran(NamedTuple):
    """What a part returned, and the seconds of processor time that it took."""

    found: Any
    seconds: float


def measured(names: Sequence[str], processes: int) -> dict[str, Sequence[Line]]:
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
        say(f"| {name} | {line.what} | {line.figure} | {line.mark} | {reached} |\n")
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


def say(text: str) -> None:
    """Print a part of the table at once."""
    sys.stdout.write(text)
    sys.stdout.flush()
