"""The start of a server and of the command line: this revision, and an earlier one.

Each revision has a database of its own with the same K-Blocks and events, on one PostgreSQL. In
each round a new program of each is started, one after the other in a random order, and asked for
the first page of `/api/feed/cosmos` until it answers; the page has to have all K-Blocks. Then the
server is asked for a path that needs all of its routes. The figures are the time since the program
was started, and the processor time that the server has used by then; ratios are of the same round.
The servers are not pinned: they have the processors that a server has.

`harken --help` is compared with a program that imports typer and rich, by processor time.

    python -m benchmarks.start --rounds=5
    python -m benchmarks.start --before=/path/of/another/checkout

The earlier revision is `--before`, or the commit `--revision`, checked out with `git worktree`.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
from tests.support.postgres import PostgresServer, free_port

from benchmarks.feed_http import prepare
from benchmarks.pages import BEFORE, HARKEN, HERE, REVISION, checked_out
from benchmarks.servers import START_SECONDS, STOP_SECONDS

PAGE = "/api/feed/cosmos?limit=20"
ALL_ROUTES = "/openapi.json"
POLL_SECONDS = 0.005
HELP, LIMIT = "help", "typer and rich"
PROGRAMS = {HELP: ["-m", "harken", "--help"], LIMIT: ["-c", "import typer, rich"]}


def main() -> int:
    options = _parse()
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer())
        code = {HARKEN: HERE, BEFORE: options.before}
        if options.before is None:
            code[BEFORE] = stack.enter_context(checked_out(options.revision))
        environments = {
            name: prepare(server.url, f"start_{name}", options.kblocks, options.seed, _path(each))
            for name, each in code.items()
        }
        rounds = [
            {name: _started(environments[name], options.kblocks) for name in order}
            for order in _orders([*environments], options)
        ]
    programs = [
        {name: _run(PROGRAMS[name]) for name in order}
        for order in _orders([*PROGRAMS], options)
    ]  # fmt: skip
    found = {"rounds": rounds[1:], "programs": programs[1:]}
    sys.stdout.write(_report(found, options))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.start", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--kblocks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", type=Path, metavar="PATH", help="a checkout of it")
    parser.add_argument("--revision", default=REVISION, help=f"default: {REVISION}")
    parser.add_argument("--seed", type=int, default=20_261_127)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round")
    return parser.parse_args()


def _path(code: Path) -> Mapping[str, str]:
    return {"PYTHONPATH": f"{code / 'src'}{os.pathsep}{code / 'clients/python/src'}"}


def _orders(names: Sequence[str], options: argparse.Namespace) -> Iterator[list[str]]:
    """Yield the order of each round; the first round, which compiles the modules, is dropped."""
    chance = random.Random(options.seed)
    for _ in range(1 + options.rounds):
        yield chance.sample(names, len(names))


def _started(environment: Mapping[str, str], kblocks: int) -> dict[str, float]:
    """Start a server; returns its seconds to the first page and to all routes."""
    with _serving(environment) as (process, port, began):
        page = json.loads(_first(process, port, PAGE))
        seconds = time.perf_counter() - began
        used = psutil.Process(process.pid).cpu_times()
        if page["total"] != kblocks or len(page["items"]) != min(20, kblocks):
            raise SystemExit(f"the first page has {page['total']} K-Blocks, not {kblocks}")
        _first(process, port, ALL_ROUTES)
        all_routes = time.perf_counter() - began
    return {"page_s": seconds, "page_cpu_s": used.user + used.system, "routes_s": all_routes}


@contextmanager
def _serving(
    environment: Mapping[str, str],
) -> Iterator[tuple["subprocess.Popen[bytes]", int, float]]:
    port, began = free_port(), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "harken", "serve", "--port", str(port)],
        env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process, port, began
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _first(process: "subprocess.Popen[bytes]", port: int, path: str) -> bytes:
    """Return the first answer of a server to a path."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        connection = HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            if answer.status != 200:
                raise SystemExit(f"{path} was answered with {answer.status}")
            return answer.read()
        except OSError:
            if process.poll() is not None:
                raise SystemExit(f"the server ended with {process.returncode}") from None
            time.sleep(POLL_SECONDS)
        finally:
            connection.close()
    raise SystemExit("the server does not answer")


def _run(arguments: Sequence[str]) -> float:
    """Return the processor seconds of a program."""
    before = os.times()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )


def ratios(rounds: Sequence[Mapping[str, Any]], figure: str) -> list[float]:
    """Return this revision ÷ the earlier one in each round."""
    return [each[HARKEN][figure] / each[BEFORE][figure] for each in rounds]


def help_ratios(programs: Sequence[Mapping[str, float]]) -> list[float]:
    """Return `harken --help` ÷ the import of typer and rich in each round."""
    return [each[HELP] / each[LIMIT] for each in programs]


def _report(found: dict[str, Any], options: argparse.Namespace) -> str:
    rounds, programs = found["rounds"], found["programs"]
    lines = [
        f"{options.kblocks:,} K-Blocks, {options.rounds} rounds", "",
        "| what | now | before | now ÷ before |", "|---|---:|---:|---:|",
    ]  # fmt: skip
    for figure, what in (
        ("page_s", "start to first page, s"),
        ("page_cpu_s", "processor time of the server until then, s"),
        ("routes_s", "start to all routes, s"),
    ):
        now, before = ([each[name][figure] for each in rounds] for name in (HARKEN, BEFORE))
        cells = (_range(values) for values in (now, before, ratios(rounds, figure)))
        lines.append(f"| {what} | {' | '.join(cells)} |")
    lines += [
        "",
        f"`harken --help` ÷ the import of typer and rich: {_range(help_ratios(programs))}",
    ]
    return "\n".join(lines) + "\n"


def _range(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


if __name__ == "__main__":
    raise SystemExit(main())
