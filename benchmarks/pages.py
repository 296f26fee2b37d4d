"""Pages over HTTP on PostgreSQL: Harken, a limit, and an earlier revision of Harken.

Each has a database of its own with the same K-Blocks, readers and events, on one server. In each
round every ranking is asked of all of them, one after the other in a random order: as many pages as
can be for 16 connections, then half of that rate, by a clock that does not wait for answers. The
limit (`benchmarks/pages_limit.py`) has no personal or learned order. Before, it is checked that all
show equal items in equal order; after each turn, that there is a slate for each page.

    python -m benchmarks.pages --rounds=3
    python -m benchmarks.pages --kblocks=100000 --before=/path/of/another/checkout

The earlier revision is `--before`, or the commit `--revision`, checked out with `git worktree`.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import numpy as np
from sqlalchemy.ext.asyncio import async_sessionmaker
from tests.support.postgres import PostgresServer, free_port

from benchmarks.feed_http import READERS, prepare, wait_for_first_page
from benchmarks.page_load import PageLoad, read_page
from benchmarks.servers import (
    CLIENT_CPU,
    SERVER_CPU,
    STOP_SECONDS,
    Contestant,
    create_database,
    pin,
    pin_self,
    wait_for,
)
from harken.config import Settings
from harken.database import create_engine
from harken.services.features.names import NAMES
from harken.services.feed.service import FeedService
from harken.services.learning.ranker import PASSED, VIEWED, Example, Model, train

HARKEN, LIMIT, BEFORE = "harken", "limit", "before"
REVISION = "82101b4"
RANKINGS = ("chronological", "weighted", "personal", "learned")
OF_LIMIT = RANKINGS[:2]
PAGE = "/api/feed/cosmos?ranking="
HERE = Path(__file__).parents[1]
FIGURES = ("per_second", "p50_ms", "p99_ms", "half_p50_ms", "half_p99_ms", "cpu_ms")

Result = dict[str, Any]


class Server(NamedTuple):
    """A contestant, with the URL of its database."""

    contestant: Contestant
    url: str


def main() -> int:
    options = _parse()
    pin_self(CLIENT_CPU)
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer())
        code = {HARKEN: HERE, BEFORE: options.before}
        if options.before is None and BEFORE in options.contestants:
            code[BEFORE] = stack.enter_context(checked_out(options.revision))
        servers = {
            name: stack.enter_context(_started(name, environment, options.kblocks))
            for name, environment in _databases(server.url, code, options).items()
        }
        _check_items(servers, options)
        rounds = list(_rounds(servers, options))
    sys.stdout.write(_report(rounds, options))
    if options.json:
        options.json.write_text(json.dumps(rounds, indent=1))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pages", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--kblocks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of each of the two loads")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rankings", nargs="+", choices=RANKINGS, default=RANKINGS)
    names = (HARKEN, LIMIT, BEFORE)
    parser.add_argument("--contestants", nargs="+", choices=names, default=names)
    parser.add_argument("--before", type=Path, metavar="PATH", help="a checkout of it")
    parser.add_argument("--revision", default=REVISION, help=f"default: {REVISION}")
    parser.add_argument("--seed", type=int, default=20_261_127)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every turn")
    return parser.parse_args()


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """Check a revision out into a folder of its own, which is removed at the end of the context."""
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", str(HERE), "worktree"]
        path = Path(folder) / "before"
        subprocess.run([*git, "add", "--detach", str(path), revision], check=True)
        try:
            yield path
        finally:
            subprocess.run([*git, "remove", "--force", str(path)], check=True)


def _databases(
    server_url: str, code: dict[str, Path], options: argparse.Namespace
) -> dict[str, dict[str, str]]:
    """Fill a database for each contestant; returns the environments of their servers."""
    model, made = _model(), {}
    for name in (each for each in options.contestants if each != LIMIT):
        paths = [code[name] / "src", code[name] / "clients/python/src"]
        more = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"}
        made[name] = prepare(server_url, f"pages_{name}", options.kblocks, options.seed, more)
        asyncio.run(_promote(made[name]["HARKEN_DATABASE_URL"], model))
    if LIMIT in options.contestants:
        own = f"pages_{LIMIT}"
        maintenance = server_url.replace("+asyncpg", "")
        asyncio.run(create_database(maintenance, own, template=f"pages_{HARKEN}"))
        made[LIMIT] = made[HARKEN] | {
            "HARKEN_DATABASE_URL": server_url.removesuffix("postgres") + own
        }
    return made


@contextmanager
def _started(name: str, environment: dict[str, str], kblocks: int) -> Iterator[Server]:
    """Start a contestant; stop it at the end of the context."""
    url, port = environment["HARKEN_DATABASE_URL"], free_port()
    command = ["benchmarks.pages_limit", "--database-url", url]
    if name != LIMIT:
        command = ["harken", "serve"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--port", str(port)],
        env=environment, cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    pin(process, SERVER_CPU)
    try:
        if name == LIMIT:
            wait_for(process, port, f"{PAGE}weighted&user_id=guest")
        else:
            wait_for_first_page(port, kblocks)
        database = url.replace("+asyncpg", "")
        yield Server(Contestant(name, database, port, process.pid), database)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _model() -> Model:
    """Train a model of the usual size on choices by chance."""
    generator, examples = np.random.default_rng(0), []
    for n in range(4_000):
        matrix = generator.normal(0, 1, (20, len(NAMES))).astype(np.float32)
        grades = np.full(20, PASSED, np.int8)
        grades[np.argmax(matrix[:, :8].sum(axis=1) + generator.normal(0, 2, 20))] = VIEWED
        examples.append(Example(n, matrix, grades))
    model = train(examples)
    if model is None:
        raise SystemExit("no model was trained")
    return model


async def _promote(url: str, model: Model) -> None:
    engine = create_engine(Settings(database_url=url))
    models = FeedService(async_sessionmaker(engine)).registry.models
    await models.promote(await models.add(model, {}, {}, "1.0"))
    await engine.dispose()


def _check_items(servers: dict[str, Server], options: argparse.Namespace) -> None:
    """Check that all show equal items: to named readers, and to a guest where the limit is in.

    Scores of the personal and the learned order depend on the time. There, neighbours may change
    places between one request and the next.
    """
    for server in servers.values():  # what each reader did is read with their first page
        if server.contestant.name != LIMIT:
            path = f"{PAGE}personal&user_id=user-"
            asyncio.run(PageLoad(server.contestant.port, path, READERS, options.seed).of_all())
    for ranking in options.rankings:
        for reader in ("guest", "user-1", "user-7"):
            path = f"{PAGE}{ranking}&user_id={reader}"
            shown = {
                name: asyncio.run(read_page(server.contestant.port, path))
                for name, server in servers.items()
                if name != LIMIT or (reader == "guest" and ranking in OF_LIMIT)
            }
            moved = 0 if ranking in OF_LIMIT else 2
            first = shown[HARKEN]
            if not all(_is_alike(first, other, moved) for other in shown.values()):
                raise SystemExit(f"{ranking} for {reader} differs: {shown}")


def _is_alike(one: Sequence[str], other: Sequence[str], moved: int) -> bool:
    """Tell whether no item is more than some places away from where it is in the other page."""
    away = [abs(one.index(each) - place) for place, each in enumerate(other) if each in one]
    return len(away) >= len(one) - moved and max(away, default=0) <= moved


def _rounds(servers: dict[str, Server], options: argparse.Namespace) -> Iterator[Result]:
    for number in range(options.rounds):
        chance = random.Random(options.seed + number)
        for ranking in options.rankings:
            for name in chance.sample([*servers], len(servers)):
                if name == LIMIT and ranking not in OF_LIMIT:
                    continue
                turn = {"round": number, "ranking": ranking, "contestant": name}
                turn |= asyncio.run(_turn(servers[name], ranking, options))
                sys.stderr.write(json.dumps(turn) + "\n")
                yield turn


async def _turn(server: Server, ranking: str, options: argparse.Namespace) -> Result:
    contestant = server.contestant
    kept, used = await _slates(server.url), contestant.cpu_seconds()
    load = PageLoad(contestant.port, f"{PAGE}{ranking}&user_id=user-", READERS, options.seed)
    full = await load.at_most(options.connections, options.seconds)
    used = contestant.cpu_seconds() - used
    half = await load.at_rate(full.per_second / 2, options.seconds)
    if await _slates(server.url) - kept != len(full.latencies) + len(half.latencies):
        raise SystemExit(f"{contestant.name}: there is not a slate for each page")
    return {
        "per_second": full.per_second, "p50_ms": full.at(0.5), "p99_ms": full.at(0.99),
        "half_p50_ms": half.at(0.5), "half_p99_ms": half.at(0.99),
        "cpu_ms": 1_000 * used / len(full.latencies), "load": os.getloadavg()[0],
    }  # fmt: skip


async def _slates(url: str) -> int:
    database = await asyncpg.connect(url)
    kept = await database.fetchval("SELECT count(*) FROM feed_slates")
    await database.close()
    return int(kept)


def _report(rounds: list[Result], options: argparse.Namespace) -> str:
    """Return tables: medians over the rounds, and ratios to the same round of the others."""
    loads = [each["load"] for each in rounds]
    lines = [
        f"{options.kblocks:,} K-Blocks, {options.connections} connections, {options.rounds} rounds",
        f"Load {min(loads):.1f} to {max(loads):.1f}. Medians (least–greatest).", "",
        "| ranking | service | pages/s | p50 ms | p99 ms | half: p50 ms | half: p99 ms | CPU ms |",
        "|---|---|" + "---:|" * len(FIGURES),
    ]  # fmt: skip
    for ranking in options.rankings:
        for name in options.contestants:
            own = [r for r in rounds if (r["ranking"], r["contestant"]) == (ranking, name)]
            if own:
                cells = " | ".join(_spread([r[each] for r in own], ",.1f") for each in FIGURES)
                lines.append(f"| {ranking} | {name} | {cells} |")
    lines += ["", "| ranking | ÷ limit | ÷ before | half: p99 ÷ p50 |", "|---|---:|---:|---:|"]
    for ranking in options.rankings:
        found = [_spread(ratios(rounds, ranking, other), ".2f") for other in (LIMIT, BEFORE)]
        lines.append(
            f"| {ranking} | {' | '.join(found)} | {_spread(tails(rounds, ranking), '.1f')} |"
        )
    return "\n".join(lines) + "\n"


def ratios(rounds: list[Result], ranking: str, other: str) -> list[float]:
    """Return pages/s of Harken ÷ those of another in the same round; none if it has no order."""
    rates = {
        (each["round"], each["contestant"]): each["per_second"]
        for each in rounds
        if each["ranking"] == ranking
    }
    return [
        rate / rates[number, other]
        for (number, name), rate in rates.items()
        if name == HARKEN and (number, other) in rates
    ]


def tails(rounds: list[Result], ranking: str) -> list[float]:
    """Return p99 ÷ p50 of Harken at half of saturation, by round."""
    return [
        each["half_p99_ms"] / each["half_p50_ms"]
        for each in rounds
        if (each["ranking"], each["contestant"]) == (ranking, HARKEN)
    ]


def _spread(values: list[float], form: str) -> str:
    if not values:
        return "–"
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


if __name__ == "__main__":
    sys.exit(main())
