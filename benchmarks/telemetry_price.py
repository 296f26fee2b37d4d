"""The price of metrics, logs and traces over HTTP on PostgreSQL: recording, and pages.

Servers run, each on a database of its own with the same K-Blocks, readers and events:

    off        default settings: no layer is added
    again      the same once more, which shows how much two equal servers differ here
    metrics    HARKEN_METRICS
    log        metrics, and HARKEN_ACCESS_LOG with HARKEN_LOG_FORMAT=json, into /dev/null
    traces     HARKEN_TRACES_ENDPOINT, with the default share of requests
    all        metrics, the log, and traces of every request

In each round each server has its turn, in a random order: events are recorded, one to a request,
then named readers request first pages of `/api/feed/cosmos`. The figure is the server's processor
time for a request, which other programs of the machine disturb least; ratios are of the same round.

    python -m benchmarks.telemetry_price --rounds=7 --json=price.json
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
from tests.support.postgres import PostgresServer

from benchmarks.feed_http import prepare, read_pages, serving, wait_for_first_page
from benchmarks.servers import CLIENT_CPU, pin_self

OFF, AGAIN = "off", "again"
METRICS = {"HARKEN_METRICS": "true"}
LOG = METRICS | {"HARKEN_ACCESS_LOG": "true", "HARKEN_LOG_FORMAT": "json"}
ENVIRONMENT = {OFF: {}, AGAIN: {}, "metrics": METRICS, "log": LOG, "traces": {}, "all": LOG}
TRACED = {"traces": {}, "all": {"HARKEN_TRACES_SHARE": "1"}}
PAGE = "/api/feed/cosmos?limit=20"
EVENT_CONNECTIONS = 64
FIGURES = ("event_cpu_us", "page_cpu_us", "events_per_second", "pages_per_second")


def main() -> int:
    options = _parse()
    pin_self(CLIENT_CPU)
    rounds = []
    with PostgresServer() as server, _collector() as endpoint, ExitStack() as stack:
        ports, processes = {}, {}
        for name in (OFF, AGAIN, *options.servers):
            more = ENVIRONMENT[name]
            environment = prepare(server.url, f"price_{name}", options.kblocks, options.seed) | more
            if name in TRACED:
                environment |= {"HARKEN_TRACES_ENDPOINT": endpoint} | TRACED[name]
            ports[name], process_id = stack.enter_context(serving(environment))
            processes[name] = psutil.Process(process_id)
            wait_for_first_page(ports[name], options.kblocks)
        for number in range(options.rounds):
            chance = random.Random(options.seed + number)
            for name in chance.sample([*ports], len(ports)):
                turn = _turn(ports[name], processes[name], number, options)
                rounds.append({"round": number, "server": name} | turn)
                sys.stderr.write(json.dumps(rounds[-1]) + "\n")
    sys.stdout.write(_report(rounds, options))
    if options.json:
        options.json.write_text(json.dumps(ratios(rounds), indent=1))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.telemetry_price",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kblocks", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3, help="of events, and of pages, a turn")
    parser.add_argument("--connections", type=int, default=16)
    others = [each for each in ENVIRONMENT if each not in {OFF, AGAIN}]
    parser.add_argument("--servers", nargs="+", choices=others, default=others)
    parser.add_argument("--seed", type=int, default=20_261_127)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every ratio")
    return parser.parse_args()


@contextmanager
def _collector() -> Iterator[str]:
    """Take traces, and throw them away; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_given: Any) -> None:
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _turn(
    port: int, process: psutil.Process, number: int, options: argparse.Namespace
) -> dict[str, float]:
    given = {
        "port": port, "keys": "zipf", "connections": EVENT_CONNECTIONS,
        "seed": options.seed + number,  # the seed makes the ids of events, too
        "warm": 0, "seconds": options.seconds,
    }  # fmt: skip
    command = [sys.executable, "-m", "benchmarks.load", *(f"--{k}={v}" for k, v in given.items())]
    began = _cpu_seconds(process)
    events = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    between = _cpu_seconds(process)
    pages = asyncio.run(read_pages(port, PAGE, options))
    if events["errors"]:
        raise SystemExit(f"events were not recorded: {events['errors']}")
    return {
        "event_cpu_us": 1e6 * (between - began) / events["acknowledged"],
        "page_cpu_us": 1e6 * (_cpu_seconds(process) - between) / pages["pages"],
        "events_per_second": events["events_per_second"],
        "pages_per_second": pages["per_second"],
    }


def _cpu_seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def ratios(rounds: list[dict[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """Return, by server and figure, the ratio to the server without telemetry in each round."""
    base = {each["round"]: each for each in rounds if each["server"] == OFF}
    return {
        name: {
            figure: [
                each[figure] / base[each["round"]][figure]
                for each in rounds
                if each["server"] == name
            ]
            for figure in FIGURES
        }
        for name in dict.fromkeys(each["server"] for each in rounds)
        if name != OFF
    }


def _report(rounds: list[dict[str, Any]], options: argparse.Namespace) -> str:
    load = os.getloadavg()[0]
    lines = [
        f"{options.kblocks:,} K-Blocks, {options.rounds} rounds, load {load:.1f} at the end",
        "Medians (least–greatest); ratios are of the same round",
        "",
        f"| server | {' | '.join(each.replace('_', ' ') for each in FIGURES)} |",
        "|---|" + "---:|" * len(FIGURES),
    ]
    own = [each for each in rounds if each["server"] == OFF]
    figures = [_spread([each[figure] for each in own], ",.0f") for figure in FIGURES]
    lines.append(f"| {OFF} | {' | '.join(figures)} |")
    for name, found in ratios(rounds).items():
        shown = [_spread(found[figure], ".3f") for figure in FIGURES]
        lines.append(f"| {name} ÷ {OFF} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


if __name__ == "__main__":
    sys.exit(main())
