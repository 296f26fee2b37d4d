"""What the statistics of experiments promise, on simulated readers and on real tests.

    python -m benchmarks.experiments                        all, about ten minutes
    python -m benchmarks.experiments --only aa sample-ratio
    python -m benchmarks.experiments --list

Seeds are fixed. The exit status is 1 where a line misses its mark. docs/experiments-statistics.md
says what each line means.
"""

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

from benchmarks.experiments.lines import Benchmark, Line

# The module and the function of each benchmark; modules are imported when they are asked for.
BENCHMARKS = {
    "aa": ("false_alarms", "aa"),
    "aa-adaptive": ("false_alarms", "adaptive"),
    "aa-adaptive-service": ("adaptive_service", "adaptive_service"),
    "coverage": ("precision", "coverage"),
    "power": ("precision", "power"),
    "cuped": ("precision", "cuped"),
    "tea-tasting": ("precision", "agreement"),
    "sample-ratio": ("sample_ratio", "sample_ratio"),
    "interleaving": ("interleaving", "interleaving"),
    "promotion": ("promotion", "promotion"),
    "replay-rule": ("replay_rule", "replay_rule"),
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
    options = parser.parse_args()
    if options.list:
        sys.stdout.write("".join(f"{name}\n" for name in BENCHMARKS))
        return 0
    _say("| benchmark | what | measured | mark | reached |\n|---|---|---|---|---|\n")
    found: dict[str, list[Line]] = {}
    began = time.perf_counter()
    for name in options.only or BENCHMARKS:
        begins = time.perf_counter()
        found[name] = [*_load(name)()]
        for line in found[name]:
            reached = {None: "", True: "yes", False: "MISSED"}[line.reached]
            _say(f"| {name} | {line.what} | {line.figure} | {line.mark} | {reached} |\n")
        sys.stderr.write(f"{name}: {time.perf_counter() - begins:.0f} s\n")
    missed = sum(line.reached is False for lines in found.values() for line in lines)
    _say(f"\n{(time.perf_counter() - began) / 60:.1f} minutes, {missed} missed\n")
    if options.json:
        options.json.write_text(
            json.dumps(
                {name: [*map(Line._asdict, lines)] for name, lines in found.items()}, indent=2
            )
        )
    return 1 if missed else 0


def _load(name: str) -> Benchmark:
    module, function = BENCHMARKS[name]
    found: Benchmark = getattr(
        importlib.import_module(f"benchmarks.experiments.{module}"), function
    )
    return found


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
