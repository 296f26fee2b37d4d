"""The price of experiments over HTTP on PostgreSQL: pages and recording, with and without them.

Four servers run, each on a database of its own with the same K-Blocks, readers and events:

    none          no experiment, default settings
    trial         HARKEN_PROMOTION=trial: a tenth of the orders have swapped pairs
    ab            an A/B test of the feed, on all readers
    interleaving  an interleaving of the feed, on all readers: each first page has two rankings

Arms are the ranking that the feed has anyway, with the same settings, so that what differs is the
experiment alone. In each round each server has its turn, in a random order: named readers request
first pages of `/api/feed/personal`, then events are recorded. Ratios are of the same round. At the
end it is checked that pages were served by the experiments, and that some had swapped pairs.

    python -m benchmarks.experiment_price --rounds=5
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import asyncpg
from tests.support.postgres import PostgresServer

from benchmarks.feed_http import prepare, read_pages, serving, wait_for_first_page
from benchmarks.servers import CLIENT_CPU, pin_self

NONE = "none"
ENVIRONMENT = {
    NONE: {}, "trial": {"HARKEN_PROMOTION": "trial"}, "ab": {}, "interleaving": {},
}  # fmt: skip
KINDS = {"ab": {"metric": "engagements_per_slate"}, "interleaving": {}}
PAGE = "/api/feed/personal?limit=20"
EVENT_CONNECTIONS = 64
FIGURES = ("pages_per_second", "page_p50_ms", "page_p99_ms", "events_per_second", "event_p99_ms")


def main() -> int:
    options = _parse()
    pin_self(CLIENT_CPU)
    rounds = []
    with PostgresServer() as server, ExitStack() as stack:
        ports, urls = {}, {}
        for name, more in ENVIRONMENT.items():
            environment = prepare(server.url, f"price_{name}", options.kblocks, options.seed) | more
            urls[name] = environment["HARKEN_DATABASE_URL"].replace("+asyncpg", "")
            ports[name], _ = stack.enter_context(serving(environment))
            wait_for_first_page(ports[name], options.kblocks)
            if name in KINDS:
                _start_experiment(ports[name], name)
        for number in range(options.rounds):
            chance = random.Random(options.seed + number)
            for name in chance.sample([*ports], len(ports)):
                rounds.append(
                    {"round": number, "server": name} | _turn(ports[name], number, options)
                )
                sys.stderr.write(json.dumps(rounds[-1]) + "\n")
        for name, url in urls.items():
            asyncio.run(_check(name, url))
    sys.stdout.write(_report(rounds, options))
    if options.json:
        options.json.write_text(json.dumps(rounds, indent=1))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.experiment_price",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kblocks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of pages, and of events, a turn")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seed", type=int, default=20_261_126)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every turn")
    return parser.parse_args()


def _start_experiment(port: int, kind: str) -> None:
    arms = [{"name": name, "ranking": "personal"} for name in ("one", "other")]
    definition = {"id": "price", "kind": kind, "feeds": ["personal"], "arms": arms}
    for path, body in (("", definition | KINDS[kind]), ("/price/start", None)):
        request = Request(
            f"http://127.0.0.1:{port}/api/experiments{path}",
            data=json.dumps(body).encode() if body else b"",
            headers={"Content-Type": "application/json"} if body else {},
            method="POST",
        )
        with urlopen(request, timeout=30):
            pass


def _turn(port: int, number: int, options: argparse.Namespace) -> dict[str, float]:
    pages = asyncio.run(read_pages(port, PAGE, options))
    given = {
        "port": port, "keys": "zipf", "connections": EVENT_CONNECTIONS,
        "seed": options.seed + number,  # the seed makes the ids of events, too
        "warm": 1, "seconds": options.seconds,
    }  # fmt: skip
    command = [sys.executable, "-m", "benchmarks.load", *(f"--{k}={v}" for k, v in given.items())]
    events = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    if events["errors"]:
        raise SystemExit(f"events were not recorded: {events['errors']}")
    return {
        "pages_per_second": pages["per_second"],
        "page_p50_ms": pages["p50_ms"],
        "page_p99_ms": pages["p99_ms"],
        "events_per_second": events["events_per_second"],
        "event_p99_ms": events["p99_ms"],
    }


async def _check(name: str, url: str) -> None:
    """Check that a server's slates are what its name says."""
    database = await asyncpg.connect(url)
    slates, own, swapped = await database.fetchrow(
        "SELECT count(*), count(experiment_id), count(*) FILTER"
        " (WHERE settings LIKE '%\"pairs\": [[%') FROM feed_slates WHERE feed = 'personal'"
    )
    await database.close()
    expected_swaps = name == "trial"
    if (own > 0) != (name in KINDS) or (swapped > 0) != expected_swaps or not slates:
        raise SystemExit(f"{name}: {slates} slates, {own} of an experiment, {swapped} with swaps")


def _report(rounds: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """Return a table: medians over the rounds, and ratios to the same round without experiments."""
    base = {each["round"]: each for each in rounds if each["server"] == NONE}
    load = os.getloadavg()[0]
    lines = [
        f"{options.kblocks:,} K-Blocks, {options.rounds} rounds, load {load:.1f} at the end",
        "Medians (least–greatest); ratios are of the same round",
        "",
        f"| server | {' | '.join(each.replace('_', ' ') for each in FIGURES)} |",
        "|---|" + "---:|" * len(FIGURES),
    ]
    for name in ENVIRONMENT:
        own = [each for each in rounds if each["server"] == name]
        figures = [_spread([each[figure] for each in own], ",.1f") for figure in FIGURES]
        lines.append(f"| {name} | {' | '.join(figures)} |")
        if name != NONE:
            ratios = [
                _spread([each[figure] / base[each["round"]][figure] for each in own], ".3f")
                for figure in FIGURES
            ]
            lines.append(f"| {name} ÷ {NONE} | {' | '.join(ratios)} |")
    return "\n".join(lines) + "\n"


def _spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


if __name__ == "__main__":
    sys.exit(main())
