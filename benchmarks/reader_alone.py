"""What a reader alone with notes gets: the share of the topics they like in their personal feed.

python -m benchmarks.reader_alone FOLDER

FOLDER has one folder of Markdown notes for each topic. A simulated reader likes three topics: they
engage with some notes of these, and dismiss others. Measured is the share of the three topics among
the next 20 notes of the personal feed, in the mean of several readers. Each reader has a database
of their own (SQLite), so that they are alone. One process, no HTTP.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from harken import migrations
from harken.config import Settings
from harken.database import create_engine
from harken.models.kblock import KBlockRow
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.importers.markdown import Vault
from harken.services.kblocks.importers.run import KBlockImport
from harken.services.kblocks.store import KBlockStore

SHOWN = 20
TOPICS = 3
FLAT = "¦"
"""Stands for the / of paths, so that the folders of notes are not known."""
LEAST_NOTES = 40
"""A topic that is liked has so many notes or more."""


class Variant(NamedTuple):
    """How much is known of the reader, and who else is there."""

    likes: int = 20
    dismissals: int = 20
    folders_as_tags: bool = False
    others: int = 0
    dated: bool = False
    folders: bool = False


VARIANTS = (
    Variant(),
    Variant(dated=True),
    Variant(folders=True),
    Variant(folders_as_tags=True, folders=True),
    Variant(5, 0),
    Variant(5, 0, dated=True),
    Variant(others=3),
    Variant(others=3, dated=True),
)


class Notes(NamedTuple):
    """The notes of a vault: ids and topics (shape: notes)."""

    ids: list[str]
    topics: list[str]


class Served(NamedTuple):
    """A feed service, and the sessions of its database."""

    service: FeedService
    sessions: async_sessionmaker[AsyncSession]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reader_alone", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--readers", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--topics", nargs="*", help="like only some of these")
    parser.add_argument("--without", nargs="*", default=[], help="topics that nobody likes")
    parser.add_argument("--json", type=Path, help="write the share of each reader to a file")
    options = parser.parse_args()
    found = asyncio.run(_measure(options))
    sys.stdout.write("| reader | share of liked topics in the next 20 | least–greatest |\n")
    sys.stdout.write("|---|---:|---:|\n")
    for name, shares in found.items():
        row = f"| {name} | {np.mean(shares):.2f} | {min(shares):.2f}–{max(shares):.2f} |\n"
        sys.stdout.write(row)
    if options.json:
        options.json.write_text(json.dumps(found))
    return 0


async def _measure(options: argparse.Namespace) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for variant in VARIANTS:
            kind = (variant.folders_as_tags, variant.dated, variant.folders)
            vault = Path(scratch) / f"vault-{kind}.db"
            if not vault.exists():
                await _import(options.folder, vault, variant)
            rows = []
            for reader in range(options.readers):
                database = Path(scratch) / "reader.db"
                shutil.copyfile(vault, database)
                rows.append(await _share(database, variant, [options.seed, reader], options))
            found[_name(variant)] = rows
    return found


def _name(variant: Variant) -> str:
    known = f"{variant.likes} likes, {variant.dismissals} dismissals"
    tags = ", folders" if variant.folders else ", text alone"
    tags = ", folders as tags" if variant.folders_as_tags else tags
    others = f", {variant.others} other readers a minute before" if variant.others else ""
    return known + tags + others + (", dated" if variant.dated else "")


async def _import(folder: Path, database: Path, variant: Variant) -> None:
    async with _service(database) as (service, sessions):
        created = folder / "_created.tsv" if variant.dated else None
        vault = Vault(
            folder, "vault", created, drafts=False, folders_as_tags=variant.folders_as_tags
        )
        await KBlockImport(service.kblocks).run(vault)
    if not variant.folders:
        async with sessions() as session, session.begin():
            flat = func.replace(KBlockRow.path, "/", FLAT)
            await session.execute(update(KBlockRow).values(path=flat))


@asynccontextmanager
async def _service(database: Path) -> AsyncIterator[Served]:
    engine = create_engine(Settings(database_url=f"sqlite+aiosqlite:///{database}"))
    await migrations.upgrade(engine)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    service = FeedService(sessions, kblocks=KBlockStore(sessions))
    yield Served(service, sessions)
    await service.close()
    async with engine.connect() as connection:
        await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    await engine.dispose()


async def _share(
    database: Path, variant: Variant, seed: list[int], options: argparse.Namespace
) -> float:
    """Return the share of the liked topics among the next notes of one reader."""
    generator = np.random.default_rng(seed)
    async with _service(database) as (service, sessions):
        notes = await _notes(sessions)
        liked = _liked_topics(notes, generator, options)
        of_liked = np.array([topic in liked for topic in notes.topics])
        likes = generator.choice(np.flatnonzero(of_liked), variant.likes, replace=False)
        others = generator.choice(np.flatnonzero(~of_liked), variant.dismissals, replace=False)
        await _others(service, notes, of_liked, variant.others, generator)
        await _record(service, "me", notes, likes, "engage", timedelta())
        await _record(service, "me", notes, others, "dismiss", timedelta())
        page = await service.page(FeedRequest("personal", "me", limit=SHOWN))
        topic = dict(zip(notes.ids, notes.topics, strict=True))
        return sum(topic[item.id] in liked for item in page.items) / SHOWN


async def _notes(sessions: async_sessionmaker[AsyncSession]) -> Notes:
    async with sessions() as session:
        rows = (await session.execute(select(KBlockRow.id, KBlockRow.path))).all()
    paths = {row.id: row.path.replace(FLAT, "/") for row in rows}
    found = sorted((each, path.rsplit("/", 2)[-2]) for each, path in paths.items() if "/" in path)
    return Notes([each for each, _ in found], [topic for _, topic in found])


def _liked_topics(
    notes: Notes, generator: np.random.Generator, options: argparse.Namespace
) -> set[str]:
    counts = Counter(notes.topics)
    known = options.topics or sorted(each for each in counts if counts[each] >= LEAST_NOTES)
    known = [each for each in known if each not in options.without]
    return set(generator.choice(known, TOPICS, replace=False).tolist())


async def _others(
    service: FeedService,
    notes: Notes,
    of_liked: NDArray[np.bool_],
    count: int,
    generator: np.random.Generator,
) -> None:
    """Have other readers engage with notes of other topics, a minute ago."""
    for other in range(count):
        some = generator.choice(np.flatnonzero(~of_liked), 20, replace=False)
        await _record(service, f"other-{other}", notes, some, "engage", timedelta(minutes=1))


async def _record(
    service: FeedService,
    user_id: str,
    notes: Notes,
    some: NDArray[np.intp],
    action: str,
    ago: timedelta,
) -> None:
    at = datetime.now(UTC) - ago
    events = [
        {"user_id": user_id, "kblock_id": notes.ids[each], "action": action,
         "occurred_at": at.isoformat(),
         **({"interaction_type": "like"} if action == "engage" else {})}
        for each in some.tolist()
    ]  # fmt: skip
    result = await service.record.record_batch(events)
    if result.rejected:
        raise ValueError(f"not recorded: {result.rejected[0].error}")


if __name__ == "__main__":
    sys.exit(main())
