"""Durable events per second through HTTP on PostgreSQL: Harken against a straightforward service.

Both are measured by the same load in every round, one right after the other and in an order that is
drawn anew; after every run the rows in the database are compared with the acknowledgements.
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
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import asyncpg
import psutil
from tests.support.postgres import PostgresServer, free_port

from benchmarks.load import DISTRIBUTIONS

OURS, THEIRS = CONTESTANTS = ("harken", "straightforward")
CLIENT_CPU, SERVER_CPU = 0, 1
CONNECTIONS = 64
START_SECONDS, STOP_SECONDS = 30, 20

Result = dict[str, Any]


class Contestant:
    """A server that is up, and the database it records in."""

    def __init__(self, name: str, database: str, port: int, process_id: int) -> None:
        self.name = name
        self.port = port
        self._database = database
        self._process = psutil.Process(process_id)

    def cpu_seconds(self) -> float:
        """Return the processor time that the server has used, PostgreSQL's not included."""
        used = self._process.cpu_times()
        return float(used.user + used.system)

    async def empty(self) -> None:
        """Begin again with empty tables, and with nothing left for PostgreSQL to write."""
        connection = await asyncpg.connect(self._database)
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE tablename LIKE 'feed\\_%'"
        )
        await connection.execute("TRUNCATE " + ", ".join(row["tablename"] for row in tables))
        await connection.execute("CHECKPOINT")
        await connection.close()

    async def recorded(self) -> tuple[int, int]:
        """Return the events in the log, and the events in the statistics."""
        connection = await asyncpg.connect(self._database)
        row = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM feed_interactions),"
            " (SELECT coalesce(sum(view_count + engage_count + dismiss_count + contradict_count),"
            " 0) FROM feed_engagement_stats)"
        )
        await connection.close()
        return int(row[0]), int(row[1])


def main() -> int:
    options = _parse()
    began = time.perf_counter()
    load_average = os.getloadavg()[0]
    rounds = []
    with ExitStack() as stack:
        # Durable: PostgreSQL's defaults, fsync and all.
        server = stack.enter_context(PostgresServer())
        contestants = [stack.enter_context(_started(name, server.url)) for name in CONTESTANTS]
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
    parser.add_argument("--rounds", type=int, help="default 5; with --full 9")
    parser.add_argument("--seconds", type=float, help="measured per run; default 5, with --full 20")
    parser.add_argument("--warm", type=float, help="before that; default 2, with --full 5")
    parser.add_argument("--full", action="store_true", help="some 25 minutes instead of five")
    parser.add_argument("--seed", type=int, default=20_251_225)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run's figures")
    options = parser.parse_args()
    defaults = (9, 20.0, 5.0) if options.full else (5, 5.0, 2.0)
    for name, value in zip(("rounds", "seconds", "warm"), defaults, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


@contextmanager
def _started(name: str, server_url: str) -> Iterator[Contestant]:
    """Start a contestant on a database of its own; in the end, stop it by its process id."""
    port, url = free_port(), server_url.removesuffix("postgres") + name
    asyncio.run(_create_database(server_url.replace("+asyncpg", ""), name))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HARKEN_")}
    python = sys.executable
    if name == OURS:
        environment["HARKEN_DATABASE_URL"] = url
        migrate = [python, "-m", "harken", "migrate"]
        subprocess.run(migrate, env=environment, check=True, capture_output=True)
        command = ["harken", "serve"]
    else:
        command = ["benchmarks.straightforward", "--database-url", url]
    command = [python, "-m", *command, "--port", str(port)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet)
    _pin(process, SERVER_CPU)
    try:
        _wait_for(process, port)
        yield Contestant(name, url.replace("+asyncpg", ""), port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _create_database(server: str, name: str) -> None:
    connection = await asyncpg.connect(server)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    await connection.close()


def _pin(process: "subprocess.Popen[bytes]", cpu: int) -> None:
    """Pin a process that has just started to a processor, where there are two."""
    # PostgreSQL stays unpinned, and takes of both what is left.
    if hasattr(os, "sched_setaffinity") and len(processors := sorted(os.sched_getaffinity(0))) > 1:
        os.sched_setaffinity(process.pid, {processors[cpu]})


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            with urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} does not answer")


def _rounds(options: argparse.Namespace, contestants: list[Contestant]) -> Iterator[Result]:
    source = random.Random(options.seed)
    for number in range(1, options.rounds + 1):
        for keys in source.sample(DISTRIBUTIONS, len(DISTRIBUTIONS)):
            seed = source.getrandbits(32)  # the same events for both
            for contestant in source.sample(contestants, len(contestants)):
                asyncio.run(contestant.empty())
                used = contestant.cpu_seconds()
                figures = _load(options, contestant.port, keys, seed)
                used = contestant.cpu_seconds() - used
                events, counted = asyncio.run(contestant.recorded())
                run = {"round": number, "keys": keys, "contestant": contestant.name}
                yield (
                    run
                    | figures
                    | {
                        "cpu_us": 1e6 * used / max(figures["acknowledged"], 1),
                        "in_log_and_statistics": (events, counted),
                        "exact": figures["acknowledged"] == events == counted,
                    }
                )


def _load(options: argparse.Namespace, port: int, keys: str, seed: int) -> Result:
    given = {"port": port, "keys": keys, "connections": CONNECTIONS, "seed": seed}
    given |= {"warm": options.warm, "seconds": options.seconds}
    command = [sys.executable, "-m", "benchmarks.load", *(f"--{k}={v}" for k, v in given.items())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    _pin(process, CLIENT_CPU)
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
    """Write the table: medians over the rounds, with the least and the greatest."""
    lines = [
        "| K-Blocks | Service | Events/s | p50 ms | p99 ms | CPU µs | Errors | Ratio |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for keys in DISTRIBUTIONS:
        for name in CONTESTANTS:
            runs = [each for each in rounds if (each["keys"], each["contestant"]) == (keys, name)]
            figures = " | ".join(
                f"{statistics.median(run[figure] for run in runs):,.1f}"
                for figure in ("p50_ms", "p99_ms", "cpu_us")
            )
            errors = sum((Counter(run["errors"]) for run in runs), Counter[str]())
            told = ", ".join(f"{count} × {kind}" for kind, count in errors.items()) or "0"
            rates = _spread([run["events_per_second"] for run in runs], ",.0f")
            ratio = _spread(_ratios(rounds, keys), ".1f", "×") if name == OURS else ""
            lines.append(f"| {keys} | {name} | {rates} | {figures} | {told} | {ratio} |")
    return "\n".join(lines)


def _ratios(rounds: list[Result], keys: str) -> list[float]:
    """Divide within each round, so that what slows the machine for a while slows both."""
    runs = [each for each in rounds if each["keys"] == keys]
    rates = {(run["round"], run["contestant"]): run["events_per_second"] for run in runs}
    return [rate / rates[number, THEIRS] for (number, name), rate in rates.items() if name == OURS]


def _spread(values: list[float], form: str, unit: str = "") -> str:
    median, least, most = statistics.median(values), min(values), max(values)
    return f"{median:{form}}{unit} ({least:{form}}–{most:{form}})"


if __name__ == "__main__":
    sys.exit(main())
