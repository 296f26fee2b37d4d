"""Search over 100,000 K-Blocks, beside plain FTS5 and tsvector queries over the same words.

Each query is sent to Harken (`KBlockSearch.find`, one process, no HTTP: matching, filters, order,
texts, snippets), and as the plain query that an application would write: MATCH … ORDER BY rank
LIMIT 20 of FTS5, or @@ … ORDER BY ts_rank LIMIT 20 of a tsvector column with a GIN index, of the
same database, without filters and snippets. Contestants take turns in a random order. What is found
is compared with a count of the words in Python, before any figure is reported.

Harken ranks at most 1,000 of the K-Blocks that match. So the first page of words of each frequency
is compared with what comes first if all that match are ranked by the same formula.

The words are drawn by Zipf's law, so the commonest is in nearly every K-Block. Queries are words as
they occur, so common ones are asked for often; a part of them are two words, phrases, beginnings,
words to leave out, and words with a filter.
"""

import argparse
import asyncio
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import numpy as np
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker
from tests.support.postgres import PostgresServer

from harken import migrations
from harken.config import Settings
from harken.database import Database, create_engine
from harken.domain.kblock import KBlock
from harken.services.feed.search.request import SearchPage, SearchRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.search.matches import SearchStore
from harken.services.kblocks.search.matching import ENOUGH
from harken.services.kblocks.search.query import parse_query

VOCABULARY = 30_000
WORDS = 120
TAGS = [f"tag{n}" for n in range(100)]
NOW = datetime.now(UTC)
SHARES = {"word": 40, "two": 25, "phrase": 10, "prefix": 10, "without": 5, "filter": 10}
P99_MS = 50.0
FREQUENCIES = {"half or more": (0.5, 1), "10 to 50 %": (0.1, 0.5), "1 to 10 %": (0.01, 0.1)}
"""Bands of words, by the share of the K-Blocks that have one."""
WORDS_PER_BAND = 8
FIRST = 20
WARM = 20
"""Queries that warm the caches of both, and are not counted."""


class Corpus(NamedTuple):
    """K-Blocks as lists of word numbers, and how often each word occurs."""

    texts: np.ndarray
    titles: np.ndarray
    weights: np.ndarray

    def word(self, rng: random.Random) -> str:
        """Draw a word as it occurs."""
        return name(int(self.texts[rng.randrange(len(self.texts)), rng.randrange(WORDS)]))


def name(number: int) -> str:
    """Return a word by its number, of syllables, so that words share beginnings."""
    syllables = ["ka", "lo", "mi", "ne", "ru", "sa", "ti", "vo", "we", "xi", "bo", "du", "fe", "gi"]
    letters = []
    while True:
        number, rest = divmod(number, len(syllables))
        letters.append(syllables[rest])
        if not number:
            return "".join(letters)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--kblocks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--seed", type=int, default=20_261_126)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    found = asyncio.run(_measure(options))
    _print(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))
    return 0 if not any(row.get("wrong") for row in found) else 1


async def _measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    generator = np.random.default_rng(options.seed)
    weights = 1 / np.arange(1, VOCABULARY + 1) ** 1.0
    weights /= weights.sum()
    corpus = Corpus(
        generator.choice(VOCABULARY, (options.kblocks, WORDS), p=weights),
        generator.choice(VOCABULARY, (options.kblocks, 6), p=weights),
        weights,
    )
    rows: list[dict[str, Any]] = []
    for kind in options.databases.split(","):
        with tempfile.TemporaryDirectory() as folder:
            if kind == "sqlite":
                rows += await _one(
                    kind, f"sqlite+aiosqlite:///{folder}/scratch.db", corpus, options
                )
            else:
                with PostgresServer() as server:
                    rows += await _one(kind, server.url, corpus, options)
    return rows


async def _one(
    kind: str, url: str, corpus: Corpus, options: argparse.Namespace
) -> list[dict[str, Any]]:
    engine = create_engine(Settings(database_url=url))
    await migrations.upgrade(engine)
    factory = async_sessionmaker(engine)
    service = FeedService(factory)
    began = time.perf_counter()
    await _fill(service, corpus)
    filled = time.perf_counter() - began
    plain = await (_plain_fts5(url) if kind == "sqlite" else _plain_vectors(url))
    try:
        await service.warm()
        rows = await _timed(kind, service, plain, corpus, options)
        store = SearchStore(Database(factory))
        rows += [row async for row in _orders(kind, service, store, corpus, options)]
    finally:
        await plain.close()
        await service.close()
        await engine.dispose()
    return [{**row, "filled_s": round(filled, 1)} for row in rows]


async def _fill(service: FeedService, corpus: Corpus) -> None:
    count = len(corpus.texts)
    for first in range(0, count, 1_000):
        await service.kblocks.put(
            [
                KBlock.model_construct(
                    id=f"k{n}",
                    title=" ".join(map(name, corpus.titles[n].tolist())),
                    content=" ".join(map(name, corpus.texts[n].tolist())),
                    tags=(TAGS[n % len(TAGS)],),
                    author=f"author{n % 1000}",
                    created_at=NOW - timedelta(seconds=n),
                )
                for n in range(first, min(first + 1_000, count))
            ]
        )


class Plain(NamedTuple):
    """The plain queries of a database: the first 20 results, and a count of all."""

    top: Callable[[str], Any]
    close: Callable[[], Any]


async def _plain_fts5(url: str) -> Plain:
    connection = sqlite3.connect(make_url(url).database or "", check_same_thread=False)
    connection.execute("PRAGMA cache_size = -32000")

    async def top(q: str) -> list[Any]:
        sql = "SELECT rowid FROM kblock_search WHERE kblock_search MATCH ? ORDER BY rank LIMIT 20"
        return await asyncio.to_thread(lambda: connection.execute(sql, (q,)).fetchall())

    async def close() -> None:
        connection.close()

    return Plain(top, close)


async def _plain_vectors(url: str) -> Plain:
    parsed = make_url(url).set(drivername="postgresql")
    connection = await asyncpg.connect(parsed.render_as_string(hide_password=False))

    async def top(q: str) -> list[Any]:
        sql = (
            "SELECT number FROM kblock_search WHERE words @@ CAST($1::text AS tsquery) "
            "ORDER BY ts_rank(words, CAST($1::text AS tsquery)) DESC LIMIT 20"
        )
        return list(await connection.fetch(sql, q))

    return Plain(top, connection.close)


class Asked(NamedTuple):
    """A query of a kind, and the tag that is filtered by."""

    kind: str
    q: str
    tag: str | None


def _queries(corpus: Corpus, options: argparse.Namespace) -> list[Asked]:
    """Return queries of all kinds."""
    rng = random.Random(options.seed)
    kinds = rng.choices(list(SHARES), list(SHARES.values()), k=options.queries)
    made = []
    for kind in kinds:
        one, other = corpus.word(rng), corpus.word(rng)
        at = rng.randrange(len(corpus.texts)), rng.randrange(WORDS - 1)
        pair = " ".join(name(int(corpus.texts[at[0], at[1] + n])) for n in range(2))
        q = {
            "word": one, "two": f"{one} {other}", "phrase": f'"{pair}"',
            "prefix": f"{one[:4]}*", "without": f"{one} -{other}", "filter": one,
        }[kind]  # fmt: skip
        made.append(Asked(kind, q, rng.choice(TAGS) if kind == "filter" else None))
    return made


async def _timed(
    kind: str, service: FeedService, plain: Plain, corpus: Corpus, options: argparse.Namespace
) -> list[dict[str, Any]]:
    rng = random.Random(options.seed + 1)
    expected = _Expected(corpus)
    times: dict[str, dict[str, list[float]]] = {}
    wrong = 0
    for place, asked in enumerate(_queries(corpus, options)):
        took, found = await _both(kind, service, plain, rng, asked)
        if place % 5 == 0:
            wrong += not _is_right(found, expected.count(*asked))
        if place >= WARM:
            for group in (asked.kind, "all"):
                for who, each in took.items():
                    times.setdefault(group, {}).setdefault(who, []).append(each)
    return [
        {
            "database": kind, "queries": group, "n": len(by["harken"]), "wrong": wrong,
            **{
                f"{who}_{figure}": round(float(np.percentile(by[who], at)), 2)
                for who in ("harken", "plain")
                for figure, at in (("p50", 50), ("p99", 99), ("max", 100))
            },
        }
        for group, by in times.items()
    ]  # fmt: skip


async def _both(
    kind: str, service: FeedService, plain: Plain, rng: random.Random, asked: Asked
) -> tuple[dict[str, float], SearchPage]:
    """Return the milliseconds of both contestants, in a random order, and what was found."""
    query = parse_query(asked.q)
    text = query.fts5() if kind == "sqlite" else query.tsquery()
    took, found = {}, None
    for who in rng.sample(("harken", "plain"), 2):
        began = time.perf_counter()
        if who == "harken":
            found = await service.search.find(SearchRequest(asked.q, tag=asked.tag))
        else:
            await plain.top(text)
        took[who] = (time.perf_counter() - began) * 1000
    assert found is not None
    return took, found


def _is_right(found: SearchPage, count: int) -> bool:
    if found.total_is_exact:
        return found.total == count
    return len(found.items) <= found.total <= min(count, ENOUGH)


async def _orders(
    kind: str,
    service: FeedService,
    store: SearchStore,
    corpus: Corpus,
    options: argparse.Namespace,
) -> AsyncIterator[dict[str, Any]]:
    """Compare first pages with those of an order of all that match, by the frequency of words."""
    rng = random.Random(options.seed + 2)
    counts = np.zeros(VOCABULARY, np.int64)
    for texts in np.array_split(np.concatenate([corpus.titles, corpus.texts], axis=1), 100):
        for each in texts:
            counts[np.unique(each)] += 1
    for band, (least, most) in FREQUENCIES.items():
        shares = counts / len(corpus.texts)
        known = np.flatnonzero((shares >= least) & (shares <= most)).tolist()
        same, gained = [], []
        for word in rng.sample(known, min(WORDS_PER_BAND, len(known))):
            query = parse_query(name(word))
            scores = await store.scores(query, await store.numbers(query))
            best = sorted(scores.values(), reverse=True)[:FIRST]
            page = await service.search.find(SearchRequest(name(word), limit=FIRST))
            found = [each.item.score for each in page.items]
            same.append(sum(each >= best[-1] - 1e-9 for each in found) / len(best))
            gained.append(sum(found) / sum(best))
        yield {
            "database": kind, "band": band, "words": len(same),
            "same": round(float(np.mean(same)), 3), "relevance": round(float(np.mean(gained)), 3),
        }  # fmt: skip


class _Expected:
    """What is to be found, by comparing every word of every K-Block."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._numbers = {name(n): n for n in range(VOCABULARY)}

    def count(self, what: str, q: str, tag: str | None) -> int:
        texts = np.concatenate([self._corpus.titles, self._corpus.texts], axis=1)
        words = q.strip('"').split()
        if what == "phrase":
            first, second = (self._numbers[word] for word in words)
            found = np.zeros(len(texts), bool)
            for part in (self._corpus.titles, self._corpus.texts):
                found |= ((part[:, :-1] == first) & (part[:, 1:] == second)).any(axis=1)
            return int(found.sum())
        found = np.ones(len(texts), bool)
        for word in words:
            has = np.isin(texts, self._of(word.lstrip("-"))).any(axis=1)
            found &= ~has if word.startswith("-") else has
        if tag is not None:
            found &= np.arange(len(texts)) % len(TAGS) == TAGS.index(tag)
        return int(found.sum())

    def _of(self, word: str) -> list[int]:
        if not word.endswith("*"):
            return [self._numbers[word]]
        return [n for each, n in self._numbers.items() if each.startswith(word[:-1])]


def _print(found: list[dict[str, Any]]) -> None:
    head = ("harken_p50", "harken_p99", "harken_max", "plain_p50", "plain_p99", "plain_max")
    sys.stdout.write(f"load average {os.getloadavg()[0]:.1f}; milliseconds\n")
    sys.stdout.write(f"{'database':11}{'queries':9}{'n':>5}" + "".join(f"{n:>12}" for n in head))
    sys.stdout.write("\n")
    for row in filter(lambda each: "queries" in each, found):
        cells = "".join(f"{row[each]:12.2f}" for each in head)
        sys.stdout.write(f"{row['database']:11}{row['queries']:9}{row['n']:5}{cells}\n")
    for row in filter(lambda each: "band" in each, found):
        sys.stdout.write(
            f"{row['database']:11}{row['words']} words in {row['band']} of the K-Blocks: "
            f"{row['same']:.0%} of the first {FIRST} are among the first {FIRST} of all that "
            f"match; their relevance is {row['relevance']:.0%} of theirs\n"
        )
    for kind in dict.fromkeys(row["database"] for row in found):
        of_kind = [each for each in found if each["database"] == kind]
        [whole] = [each for each in of_kind if each.get("queries") == "all"]
        verdict = "reached" if whole["harken_p99"] <= P99_MS else "MISSED"
        sys.stdout.write(
            f"{kind}: p99 {whole['harken_p99']} ms, mark {P99_MS:.0f} ms: {verdict}; "
            f"{whole['wrong']} wrong counts; filled in {whole['filled_s']} s\n"
        )


if __name__ == "__main__":
    sys.exit(main())
