"""Runs all benchmarks, and prints one table of the results and their targets.

    python -m benchmarks           about nine minutes
    python -m benchmarks --full    about an hour

Each benchmark can also be run alone: `python -m benchmarks.record_http --help`, and so on.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks import mixed, start
from benchmarks.pages import BEFORE, LIMIT, ratios, tails

QUICK = {
    "record_http": ["--rounds=2", "--seconds=3", "--warm=1"],
    "bulk": ["--rounds=3", "--batches=12"],
    "ranking": ["--rounds=15"],
    "feed_http": ["--rounds=1", "--seconds=4"],
    "pages": ["--rounds=2", "--seconds=2"],
    "growth": ["--large=400000"],
    "telemetry_price": ["--rounds=3", "--seconds=1.5"],
    "mixed": ["--rounds=1", "--seconds=8"],
    "start": ["--rounds=3"],
}
FULL = {
    "record_http": ["--rounds=5", "--seconds=10", "--warm=3"],
    "bulk": [],
    "ranking": ["--rounds=51"],
    "feed_http": [],
    "pages": ["--rounds=5", "--kblocks=100000"],
    "growth": ["--full"],
    "telemetry_price": [],
    "mixed": [],
    "start": ["--rounds=7"],
}
# A million K-Blocks, in the full mode only, since loading them takes long.
MILLION = ["--kblocks=1000000", "--connections=8", "--rounds=2"]
KEYS = ("uniform", "zipf", "one-hot")


class Mark(NamedTuple):
    """A result with its targets: `gate` must be reached, `aim` is the goal."""

    what: str
    values: list[float]
    gate: float
    aim: float
    form: str = ".2f"
    lower_is_better: bool = False

    @property
    def verdict(self) -> str:
        """Return "aim", "gate" or "MISSED", by the median."""
        reached = median(self.values)
        sign = -1 if self.lower_is_better else 1
        if sign * reached >= sign * self.aim:
            return "aim"
        return "gate" if sign * reached >= sign * self.gate else "MISSED"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = {
            name: _run(name, arguments, Path(folder))
            for name, arguments in (FULL if options.full else QUICK).items()
        }
        if options.full:
            found["feed_http_million"] = _run("feed_http", MILLION, Path(folder))
    marks = [mark for make in MARKS for mark in make(found)]
    sys.stdout.write(_table(marks))
    minutes = (time.perf_counter() - began) / 60
    sys.stdout.write(f"\n{minutes:.1f} minutes, load average {os.getloadavg()[0]:.2f}\n")
    return 0


def _run(name: str, arguments: list[str], folder: Path) -> Any:
    file = folder / f"{name}-{len(arguments)}.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments, f"--json={file}"]
    subprocess.run(command, check=True)
    sys.stdout.write("\n")
    sys.stdout.flush()
    return json.loads(file.read_text())


def _recording(found: dict[str, Any]) -> list[Mark]:
    runs = found["record_http"]["rounds"]
    by = {(run["round"], run["keys"], run["contestant"]): run for run in runs}
    rounds = sorted({run["round"] for run in runs})

    def ratios(keys: str, figure: str, other: str) -> list[float]:
        pairs = ((by[r, keys, "harken"], by[r, keys, other]) for r in rounds)
        return [ours[figure] / theirs[figure] for ours, theirs in pairs]

    marks = []
    for keys in KEYS:
        rate, p99 = "events_per_second", "p99_ms"
        marks += [
            Mark(f"record, {keys}: events/s ÷ limit", ratios(keys, rate, "limit"), 0.5, 0.8),
            Mark(f"record, {keys}: events/s ÷ straightforward",
                 ratios(keys, rate, "straightforward"), 20, 35, ".1f"),
            Mark(f"record, {keys}: p99 ÷ straightforward's",
                 ratios(keys, p99, "straightforward"), 1 / 8, 1 / 25, ".3f", lower_is_better=True),
        ]  # fmt: skip
    errors = [float(sum(run["errors"].values())) for run in runs if run["contestant"] == "harken"]
    return [*marks, Mark("record: errors", errors, 0, 0, ".0f", lower_is_better=True)]


def _bulk(found: dict[str, Any]) -> list[Mark]:
    rates = found["bulk"]

    def ratios(ours: str, limit: str) -> list[float]:
        return [mine / most for mine, most in zip(rates[ours], rates[limit], strict=True)]

    return [
        Mark(
            "batch of 1,000 over HTTP ÷ bare group-commit loop", ratios("batch", "loop"), 0.7, 0.9
        ),
        Mark("group-commit loop ÷ raw COPY", ratios("loop", "copy"), 0.28, 0.45),
        Mark("SQLite batches ÷ raw executemany", ratios("sqlite", "executemany"), 0.5, 0.8),
        Mark("attention scores ÷ raw point select", ratios("lookups", "select"), 0.4, 0.7),
    ]


def _ranking(found: dict[str, Any]) -> list[Mark]:
    rows = found["ranking"]
    marks = [
        Mark(f"top 20 of 1,000,000, {row['order']} ÷ matrix–vector product",
             [row["ratio"], *row["ratio_range"]], 4, 2, lower_is_better=True)
        for row in rows
    ]  # fmt: skip
    refresh = [rows[0]["refresh"]]
    return [
        *marks,
        Mark("1,000 changed of 1,000,000 ÷ full load", refresh, 1 / 100, 1 / 500, ".4f",
             lower_is_better=True),
        Mark("memory for 1,000,000 items, MB", [rows[0]["memory_mb"]], 200, 100, ".0f",
             lower_is_better=True),
    ]  # fmt: skip


def _feed(found: dict[str, Any]) -> list[Mark]:
    started = [row["first_answer_s"] for row in found["feed_http"]]
    marks = [
        Mark("100,000 K-Blocks: start to first answer, s", started, 3, 1, ".1f",
             lower_is_better=True)
    ]  # fmt: skip
    ratios = [row["personal_to_weighted"] for row in found["feed_http"]]
    marks.append(
        Mark("personal page of 100,000 ÷ weighted one, p99", ratios, 2, 1.5, lower_is_better=True)
    )
    if "feed_http_million" in found:
        p99 = [row["weighted_p99_ms"] for row in found["feed_http_million"]]
        marks.append(
            Mark("weighted page of 1,000,000 over HTTP, p99 ms", p99, 60, 20, ".0f",
                 lower_is_better=True)
        )  # fmt: skip
    return marks


def _pages(found: dict[str, Any]) -> list[Mark]:
    rounds, marks = found["pages"], []
    for ranking, gate, aim in (("chronological", 2.2, 3.5), ("weighted", 2.2, 3.5),
                               ("personal", 1.8, 3), ("learned", 1.8, 2.5)):  # fmt: skip
        what = f"{ranking} pages/s"
        if limit := ratios(rounds, ranking, LIMIT):
            marks.append(Mark(f"{what} ÷ limit", limit, 0.5, 0.75))
        marks.append(
            Mark(f"{what} ÷ the revision before", ratios(rounds, ranking, BEFORE), gate, aim)
        )
        marks.append(
            Mark(f"{ranking} page at half of saturation, p99 ÷ p50", tails(rounds, ranking), 4, 2.5,
                 lower_is_better=True)
        )  # fmt: skip
    return marks


def _growth(found: dict[str, Any]) -> list[Mark]:
    return [
        Mark(f"{name}: latency, large log ÷ small one", [figures["ratio"]], 1.5, 1.1,
             lower_is_better=True)
        for name, figures in found["growth"].items()
    ]  # fmt: skip


def _telemetry(found: dict[str, Any]) -> list[Mark]:
    return [
        Mark(f"{name}: processor time of a {what} ÷ that without telemetry",
             figures[f"{what}_cpu_us"], 1.05, 1.02, ".3f", lower_is_better=True)
        for name, figures in found["telemetry_price"].items()
        if name in {"metrics", "log", "traces"}
        for what in ("event", "page")
    ]  # fmt: skip


def _mixed(found: dict[str, Any]) -> list[Mark]:
    return [
        Mark("record: p99 among all other work ÷ alone", mixed.ratios(found["mixed"]), 3, 2,
             lower_is_better=True),
    ]  # fmt: skip


def _start(found: dict[str, Any]) -> list[Mark]:
    rounds, programs = found["start"]["rounds"], found["start"]["programs"]
    return [
        Mark("100,000 K-Blocks: start to first page ÷ the revision before",
             start.ratios(rounds, "page_s"), 0.5, 0.25, lower_is_better=True),
        Mark("`harken --help` ÷ import of typer and rich, processor time",
             start.help_ratios(programs), 1.5, 1.2, lower_is_better=True),
    ]  # fmt: skip


MARKS: tuple[Callable[[dict[str, Any]], list[Mark]], ...] = (
    _recording, _bulk, _ranking, _feed, _pages, _growth, _telemetry, _mixed, _start,
)  # fmt: skip


def _table(marks: list[Mark]) -> str:
    lines = [
        "| what | median (least–greatest) | gate | aim | reached |",
        "|---|---:|---:|---:|---|",
    ]
    for mark in marks:
        form = mark.form
        least, most = min(mark.values), max(mark.values)
        lines.append(
            f"| {mark.what} | {median(mark.values):{form}} ({least:{form}}–{most:{form}}) | "
            f"{mark.gate:{form}} | {mark.aim:{form}} | {mark.verdict} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
