"""What the statistics of experiments promise, on simulated readers and on real tests.

    python -m benchmarks.experiments                        all, some six minutes on two cores
    python -m benchmarks.experiments --only aa sample-ratio
    python -m benchmarks.experiments --list

Seeds are fixed. Benchmarks, and parts of long ones, run in processes side by side. The exit status
is 1 where a line misses its mark. docs/experiments-statistics.md says what each line means.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from benchmarks.experiments.lines import Line
from benchmarks.experiments.pool import BENCHMARKS, measured, say


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
    say("| benchmark | what | measured | mark | reached |\n|---|---|---|---|---|\n")
    began = time.perf_counter()
    found = measured(options.only or [*BENCHMARKS], options.processes)
    missed = sum(line.reached is False for lines in found.values() for line in lines)
    say(f"\n{(time.perf_counter() - began) / 60:.1f} minutes, {missed} missed\n")
    if options.json:
        options.json.write_text(
            json.dumps(
                {name: [*map(Line._asdict, lines)] for name, lines in found.items()}, indent=2
            )
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
