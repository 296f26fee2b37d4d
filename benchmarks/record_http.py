"""Durable events per second through HTTP on PostgreSQL: Harken, a straightforward service, a limit.

Each round measures all of them with the same load, one after the other in a random order. After
each run the rows in the database are compared with the acknowledged events.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.support.postgres import PostgresServer

from benchmarks.load import DISTRIBUTIONS
from benchmarks.servers import (
    CLIENT_CPU,
    HARKEN,
    LIMIT,
    STRAIGHTFORWARD,
    Contestant,
    pin,
    postgres_cpu_seconds,
    started,
)

CONTESTANTS = (HARKEN, LIMIT, STRAIGHTFORWARD)
CONNECTIONS = 64

Result = dict[str, Any]


def main() -> int:
    options = _parse()
    began = time.perf_counter()
    load_average = os.getloadavg()[0]
    rounds = []
    with ExitStack() as stack:
        # PostgreSQL's durable defaults, with fsync.
        server = stack.enter_context(PostgresServer())
        contestants = [stack.enter_context(started(name, server.url)) for name in CONTESTANTS]
        for result in _rounds(options, contestants):
            rounds.append(result)
            print(_line(result), file=sys.stderr, flush=True)
    print(_report(rounds))
    wrong = [result for result in rounds if not result["exact"]]
    print(
        f"\n{len(rounds)} runs in {time.perf_counter() - began:.0f} s, seed {options.seed}, "
        f"load average {load_average:.2f} before; in {len(rounds) - len(wrong)} runs the log and "
        "the statistics held exactly the acknowledged events."
    )
    if options.json:
        options.json.write_text(json.dumps({"seed": options.seed, "rounds": rounds}, indent=1))
    return 1 if wrong else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.record_http", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured in each run")
    parser.add_argument("--warm", type=float, default=2.0, help="seconds before that")
    parser.add_argument("--seed", type=int, default=20_251_225)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run's figures")
    return parser.parse_args()


def _rounds(options: argparse.Namespace, contestants: list[Contestant]) -> Iterator[Result]:
    source = random.Random(options.seed)
    for number in range(1, options.rounds + 1):
        for keys in source.sample(DISTRIBUTIONS, len(DISTRIBUTIONS)):
            seed = source.getrandbits(32)  # the same events for all contestants
            for contestant in source.sample(contestants, len(contestants)):
                asyncio.run(contestant.empty())
                used, database = contestant.cpu_seconds(), postgres_cpu_seconds()
                figures = _load(options, contestant.port, keys, seed)
                used = contestant.cpu_seconds() - used
                database = postgres_cpu_seconds() - database
                events, counted = asyncio.run(contestant.recorded())
                run = {"round": number, "keys": keys, "contestant": contestant.name}
                yield (
                    run
                    | figures
                    | {
                        "cpu_us": 1e6 * used / max(figures["acknowledged"], 1),
                        "database_us": 1e6 * database / max(figures["acknowledged"], 1),
                        "in_log_and_statistics": (events, counted),
                        "exact": figures["acknowledged"] == events == counted,
                    }
                )


def _load(options: argparse.Namespace, port: int, keys: str, seed: int) -> Result:
    given = {"port": port, "keys": keys, "connections": CONNECTIONS, "seed": seed}
    given |= {"warm": options.warm, "seconds": options.seconds}
    command = [sys.executable, "-m", "benchmarks.load", *(f"--{k}={v}" for k, v in given.items())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    pin(process, CLIENT_CPU)
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load ended with {process.returncode}")
    found: Result = json.loads(output)
    return found


def _line(result: Result) -> str:
    return (
        f"round {result['round']}  {result['keys']:8}  {result['contestant']:15}  "
        f"{result['events_per_second']:7,.0f} events/s  p99 {result['p99_ms']:.1f} ms  "
        f"{'exact' if result['exact'] else 'NOT EXACT'}  {result['errors'] or ''}"
    )


def _report(rounds: list[Result]) -> str:
    """Return the tables: medians over the rounds, with minimum and maximum."""
    lines = [
        "| K-Blocks | Service | Events/s | p50 ms | p99 ms | Service µs | PostgreSQL µs | Errors |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for keys in DISTRIBUTIONS:
        for name in CONTESTANTS:
            runs = [each for each in rounds if (each["keys"], each["contestant"]) == (keys, name)]
            figures = " | ".join(
                f"{statistics.median(run[figure] for run in runs):,.1f}"
                for figure in ("p50_ms", "p99_ms", "cpu_us", "database_us")
            )
            errors = sum((Counter(run["errors"]) for run in runs), Counter[str]())
            text = ", ".join(f"{count} × {kind}" for kind, count in errors.items()) or "0"
            rates = _spread([run["events_per_second"] for run in runs], ",.0f")
            lines.append(f"| {keys} | {name} | {rates} | {figures} | {text} |")
    lines += [
        "",
        "| K-Blocks | Events/s ÷ limit | Events/s ÷ straightforward | p99 ÷ straightforward |",
        "|---|---:|---:|---:|",
    ]
    for keys in DISTRIBUTIONS:
        ratios = (
            _ratios(rounds, keys, "events_per_second", LIMIT),
            _ratios(rounds, keys, "events_per_second", STRAIGHTFORWARD),
            _ratios(rounds, keys, "p99_ms", STRAIGHTFORWARD),
        )
        text = " | ".join(
            _spread(values, form)
            for values, form in zip(ratios, (".2f", ".1f", ".3f"), strict=True)
        )
        lines.append(f"| {keys} | {text} |")
    return "\n".join(lines)


def _ratios(rounds: list[Result], keys: str, figure: str, other: str) -> list[float]:
    """Return ratios within each round, since a slow phase of the machine affects both."""
    values = {
        (run["round"], run["contestant"]): run[figure] for run in rounds if run["keys"] == keys
    }
    return [
        value / values[number, other] for (number, name), value in values.items() if name == HARKEN
    ]


def _spread(values: list[float], form: str, unit: str = "") -> str:
    median, least, most = statistics.median(values), min(values), max(values)
    return f"{median:{form}}{unit} ({least:{form}}–{most:{form}})"


if __name__ == "__main__":
    sys.exit(main())
