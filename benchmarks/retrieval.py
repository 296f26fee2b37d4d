"""Recall of candidate sources: how often a reader's next choice is among their candidates.

Readers with known tastes choose from 10,000, 100,000 and 1,000,000 K-Blocks. The log is walked in
the order of time. Before each of some of its last choices, every source names its candidates, by
what was known until then. Recall is the share of choices that are among them. The times are
processor times of one core for a whole request, when the index has answered one before.

    a taste     5 of 100 clusters; a cluster belongs to one of 20 topics. Tags tell the topic of
                70 % of the K-Blocks. Of an author, 70 % of the K-Blocks are of one cluster
    a choice    15 % at random; half of the others among the newest of a cluster, half of any age,
                those of high quality more often. No choice depends on what a source names
    oracle      500 candidates of one who knows the taste, the clusters and the qualities: half are
                the newest of the reader's clusters, half the best

    factors     are trained on the log before the measured choices

With --events FILE, a log of people is used in place of the made-up ones, up to --until.
The process ends with 1 if the recall of all sources together is below its gate.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.learned import read_log
from harken.domain.decay import DEFAULT_HALF_LIVES, add, logarithm, order
from harken.domain.feedback import FeedbackAction
from harken.services.index.index import Index
from harken.services.index.ordering import Reader
from harken.services.index.rows import UNKNOWN, IndexRow
from harken.services.learning.factor_candidates import fit_factors, sources_with
from harken.services.learning.impressions import Event
from harken.services.personal.index_pool import IndexPool
from harken.services.personal.sources import CandidateQuery, CandidateSource, retrieve
from harken.services.readers.affinities import Affinities
from harken.services.readers.history import MICROS, Touch

DAY = 86_400 * MICROS
CREATED, ACTIVE = 365, 30  # days in which K-Blocks are made, and the last ones, of events
TOPICS, CLUSTERS, CLUSTERS_OF_A_READER = 20, 100, 5
AUTHORS = 20  # of a cluster
HALF_LIFE = min(DEFAULT_HALF_LIVES)
CHUNK = 50_000
GATES = {10_000: 0.40, 100_000: 0.25, 1_000_000: 0.16}
"""The least recall of all sources together, by the number of K-Blocks."""


class Catalogue(NamedTuple):
    """K-Blocks in the order of time: microseconds since 1970, tags as JSON, authors."""

    created: np.ndarray
    tags: Sequence[str]
    authors: Sequence[str | None]

    def row(self, number: int) -> IndexRow:
        return UNKNOWN._replace(
            number=number, version=1, created=int(self.created[number]),
            tags=self.tags[number], author=self.authors[number],
        )  # fmt: skip


class Choice(NamedTuple):
    """A touch of the K-Block with a number."""

    touch: Touch
    number: int


def main() -> int:
    options = _parse()
    found = {}
    if options.events:
        found["log"] = measure(*_read(options.events, options.until), options)
        _print("log", found["log"])
    for size in [] if options.events else options.kblocks:
        found[str(size)] = measure(*made_up(size, options), options)
        _print(f"{size:,} K-Blocks", found[str(size)])
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))
    low = [
        f"{size:,} K-Blocks: {found[str(size)]['all']['recall']:.3f}, and the gate is {gate}"
        for size, gate in GATES.items()
        if str(size) in found and found[str(size)]["all"]["recall"] < gate
    ]
    sys.stdout.writelines(f"MISSED {each}\n" for each in low)
    return 1 if low else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--kblocks", type=int, nargs="*", default=[*GATES])
    parser.add_argument("--readers", type=int, default=5_000)
    parser.add_argument("--count", type=int, default=200_000, help="events")
    parser.add_argument("--choices", type=int, default=400, help="measured, of the last twentieth")
    parser.add_argument("--events", type=Path, metavar="FILE", help="a log of people")
    parser.add_argument("--until", type=datetime.fromisoformat, help="for --events")
    parser.add_argument("--seed", type=int, default=20_251_225)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


# Made-up readers and K-Blocks


def made_up(
    kblocks: int, options: argparse.Namespace
) -> tuple[Catalogue, list[Choice], "_Chooser"]:
    """Return K-Blocks, the choices of readers with known tastes, and who knows the tastes."""
    rng = np.random.default_rng([options.seed, kblocks])
    end = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * MICROS
    created = np.sort(rng.integers(end - CREATED * DAY, end, kblocks))
    cluster = rng.integers(CLUSTERS, size=kblocks)
    topic = cluster % TOPICS
    told = rng.random(kblocks) < 0.7
    tags = [
        f'["topic{each}"]' if is_told else "[]" for each, is_told in zip(topic, told, strict=True)
    ]
    of_cluster = np.where(rng.random(kblocks) < 0.7, cluster, rng.integers(CLUSTERS, size=kblocks))
    writers = of_cluster + CLUSTERS * rng.integers(AUTHORS, size=kblocks)
    authors = [f"author{each}" for each in writers.tolist()]
    chooser = _Chooser(created, cluster, rng, options.readers)
    times = np.sort(rng.integers(end - ACTIVE * DAY, end, options.count))
    return Catalogue(created, tags, authors), list(chooser.choices(times.tolist())), chooser


class _Chooser:
    """Draws choices by the tastes of readers."""

    def __init__(
        self, created: np.ndarray, cluster: np.ndarray, rng: np.random.Generator, readers: int
    ) -> None:
        self._created, self._rng = created, rng
        by_cluster = np.argsort(cluster, kind="stable")
        ends = np.cumsum(np.bincount(cluster, minlength=CLUSTERS))
        self._of_cluster = np.split(by_cluster, ends[:-1])  # in the order of time
        quality = rng.random(len(created))
        self._best_first = [each[np.argsort(quality[each])] for each in self._of_cluster]
        self._tastes = rng.permuted(np.tile(np.arange(CLUSTERS), (readers, 1)), axis=1)
        self._tastes = self._tastes[:, :CLUSTERS_OF_A_READER]
        self._touched: list[set[int]] = [set() for _ in range(readers)]
        activity = rng.lognormal(0.0, 0.5, readers)
        self._activity = np.cumsum(activity / activity.sum())

    def choices(self, times: Sequence[int]) -> Iterator[Choice]:
        for at in times:
            reader = int(np.searchsorted(self._activity, self._rng.random()))
            number = self._choose(reader, at)
            if number is not None:
                self._touched[reader].add(number)
                action = FeedbackAction.ENGAGE if number % 4 == 0 else FeedbackAction.VIEW
                yield Choice(Touch(f"u{reader}", f"k{number}", action, "like", None, at), number)

    def oracle(self, choice: Choice, touched: set[int], count: int = 500) -> np.ndarray:
        """Return the newest and the best of a reader's clusters that they did not touch."""
        clusters = self._tastes[int(choice.touch.user_id[1:])]
        each, found = count // 2 // len(clusters), []
        for cluster in clusters.tolist():
            there, best = self._of_cluster[cluster], self._best_first[cluster]
            there = there[: np.searchsorted(self._created[there], choice.touch.at)]
            new = [number for number in there[::-1][: each + 100].tolist() if number not in touched]
            found += new[:each]
            old = best[: 4 * each][self._created[best[: 4 * each]] < choice.touch.at].tolist()
            known = touched.union(new[:each])
            found += [number for number in old if number not in known][:each]
        return np.array(found)

    def _choose(self, reader: int, at: int) -> int | None:
        rng = self._rng
        for _ in range(20):
            cluster = int(rng.choice(self._tastes[reader]))
            if rng.random() < 0.15:
                number = int(rng.integers(len(self._created)))
            elif rng.random() < 0.5:
                there = self._of_cluster[cluster]
                newest = int(np.searchsorted(self._created[there], at)) - 1
                number = int(there[max(newest - int(rng.exponential(10)), 0)])
            else:
                best = self._best_first[cluster]
                number = int(best[int(len(best) ** rng.random()) - 1])
            if self._created[number] < at and number not in self._touched[reader]:
                return number
        return None


# A log of people


def _read(file: Path, until: datetime | None) -> tuple[Catalogue, list[Choice], None]:
    """Return the K-Blocks of a log, made at their first event, and what readers chose later."""
    log = read_log(file)
    if until is not None:
        log = [touch for touch in log if touch.at < until.timestamp() * MICROS]
    numbers: dict[str, int] = {}
    created: list[int] = []
    choices = []
    for touch in log:
        number = numbers.setdefault(touch.kblock_id, len(numbers))
        if number == len(created):
            created.append(touch.at)
        choices.append(Choice(touch, number))
    none = len(created)
    return Catalogue(np.array(created), ["[]"] * none, [None] * none), choices, None


# Measuring


@dataclass
class _State:
    """What is known at a moment of the log: the index and the affinities."""

    catalogue: Catalogue
    index: Index
    affinities: Affinities
    numbers: dict[int, int]
    counts: dict[int, float | None]
    touched: dict[str, set[int]]
    put: int = 0

    def advance(self, at: int) -> None:
        """Put the K-Blocks that were made before a time."""
        end = int(np.searchsorted(self.catalogue.created, at))
        for first in range(self.put, end, CHUNK):
            last = min(first + CHUNK, end)
            self.index.put([self.catalogue.row(number) for number in range(first, last)])
        self.put = end

    def observe(self, choice: Choice) -> None:
        touch, number = choice
        if number not in self.counts:
            labels = json.loads(self.catalogue.tags[number])
            self.affinities.describe(
                touch.kblock_id, tags=labels, author=self.catalogue.authors[number],
                created_at=int(self.catalogue.created[number]),
            )  # fmt: skip
            self.numbers[self.affinities.place(touch.kblock_id)] = number
        self.affinities.observe(touch)
        when = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=touch.at)
        self.counts[number] = add(self.counts.get(number), logarithm(when, HALF_LIFE))
        self.touched.setdefault(touch.user_id, set()).add(number)

    def count(self, numbers: Sequence[int]) -> None:
        """Tell the index the decayed counts of K-Blocks."""
        trends = [order(self.counts[number], None, None) for number in numbers]
        self.index.count(numbers, [1] * len(numbers), [0.0] * len(numbers), trends)

    def query(self, touch: Touch) -> CandidateQuery:
        mask = self.index.is_open.copy()
        known = np.fromiter(self.touched.get(touch.user_id, ()), np.int64)
        rows = self.index.present(known)
        mask[rows[rows >= 0]] = False
        # Twice the same request would be answered from what the first one kept.
        pool = IndexPool(
            self.index, "all", self.index.is_open, ~mask, Reader((), touch.at), self._numbers
        )
        return CandidateQuery(pool, self.affinities, touch.user_id, touch.at)

    def _numbers(self, places: np.ndarray) -> np.ndarray:
        return np.array([self.numbers[each] for each in places.tolist()], np.int64)


def measure(
    catalogue: Catalogue, choices: list[Choice], chooser: _Chooser | None,
    options: argparse.Namespace,
    sources: Sequence[CandidateSource] = (),
) -> dict[str, Any]:  # fmt: skip
    """Return, by source and for all of them: recall, candidates and milliseconds."""
    tail = range(len(choices) // 2 if options.events else len(choices) * 19 // 20, len(choices))
    sources = sources or sources_with(
        fit_factors((Event(each.touch) for each in choices[: tail.start]), options.seed)
    )
    rng = np.random.default_rng(options.seed)
    measured = set(rng.choice(tail, min(options.choices, len(tail)), replace=False).tolist())
    index = Index(choices[-1].touch.at, (HALF_LIFE,))
    state = _State(catalogue, index, Affinities(), {}, {}, {})
    tally: dict[str, list[tuple[bool, int, float]]] = {}
    changed: set[int] = set()
    for place, choice in enumerate(choices):
        if place in measured and _is_choice(state, choice):
            state.advance(choice.touch.at)
            state.count(sorted(changed))
            changed.clear()
            _ask(state, choice, sources, tally)
            if chooser is not None:
                touched = state.touched.get(choice.touch.user_id, set())
                numbers = chooser.oracle(choice, touched)
                hit = bool((numbers == choice.number).any())
                tally.setdefault("oracle", []).append((hit, len(numbers), 0.0))
        state.observe(choice)
        changed.add(choice.number)
    return {name: _summary(found) for name, found in tally.items()}


def _is_choice(state: _State, choice: Choice) -> bool:
    """Whether a K-Block that existed before is new to the reader."""
    is_new = choice.number not in state.touched.get(choice.touch.user_id, ())
    return is_new and bool(state.catalogue.created[choice.number] < choice.touch.at)


def _ask(
    state: _State, choice: Choice, sources: Sequence[CandidateSource],
    tally: dict[str, list[tuple[bool, int, float]]],
) -> None:  # fmt: skip
    query = state.query(choice.touch)
    [answer] = state.index.present(np.array([choice.number]))
    asked = {source.name: [source] for source in sources} | {"all": [*sources]}
    without = {f"all but {name}": [each for each in sources if each.name != name] for name in asked}
    without.pop("all but all")
    for name, some in (asked | without).items():
        retrieve(query, some)
        began = time.process_time()
        rows = retrieve(query, some)
        took = (time.process_time() - began) * 1_000
        tally.setdefault(name, []).append((bool((rows == answer).any()), len(rows), took))


def _summary(found: list[tuple[bool, int, float]]) -> dict[str, float]:
    hits, counts, times = (np.array(each, np.float64) for each in zip(*found, strict=True))
    error = float(np.sqrt(hits.mean() * (1 - hits.mean()) / len(hits)))
    return {
        "choices": len(hits), "recall": float(hits.mean()), "standard_error": error,
        "candidates": float(counts.mean()), "median_ms": float(np.median(times)),
        "p95_ms": float(np.quantile(times, 0.95)),
    }  # fmt: skip


def _print(name: str, found: dict[str, Any]) -> None:
    sys.stdout.write(f"{name}, {found['all']['choices']} choices\n")
    sys.stdout.write("| source | recall | ± | candidates | ms, median | p95 |\n")
    sys.stdout.write("|---|---:|---:|---:|---:|---:|\n")
    for source, row in found.items():
        sys.stdout.write(
            f"| {source} | {row['recall']:.3f} | {2 * row['standard_error']:.3f} |"
            f" {row['candidates']:.0f} | {row['median_ms']:.2f} | {row['p95_ms']:.2f} |\n"
        )


if __name__ == "__main__":
    sys.exit(main())
