"""Bringing K-Blocks in: what every importer offers, and the run that keeps what it finds."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Protocol, TypeVar

from harken.domain.kblock import KBlock
from harken.errors import Problem
from harken.services.kblocks.importers.recognition import Identity, recognised
from harken.services.kblocks.store import MOST_AT_ONCE, Change, KBlockStore, Kept

CHUNK = 250
CHUNK_BYTES = 8 * 1024 * 1024
MOST_FAILURES = 1_000
MOST_REMARKS = 1_000
SOURCE_LENGTH = 255

T = TypeVar("T")

Progress = Callable[[int, int | None], None]
"""Called with what is done, and with what there is, where that is known."""


class Found(NamedTuple):
    """A K-Block that an importer read, where, and what of it was left out or changed.

    `arrived` is the time it counts as of when it is new and has none of its own. One with an
    `identity` is looked for under other ids too, and may come again: that is no failure.
    """

    where: str
    kblock: KBlock
    remarks: tuple[Problem, ...] = ()
    arrived: datetime | None = None
    identity: Identity | None = None


class Skipped(NamedTuple):
    """Something that an importer left out as it should: of what kind, and how many."""

    kind: str
    number: int = 1


class _Seen(NamedTuple):
    """A K-Block that this import has kept."""

    where: str
    kept: Kept
    digest: str


class Failure(NamedTuple):
    """Something that an importer could not read, and what would be right.

    `path` (of a file, or of a folder with all that is in it) or `kblock_id` say which K-Blocks it
    would have been. Where neither is known it may be any: then nothing counts as vanished.
    """

    where: str
    reason: str
    path: str | None = None
    kblock_id: str | None = None


Unit = Found | Failure | Skipped


class Source(Protocol):
    """What K-Blocks can be read from: iterate over it, once, in a thread.

    Iterating raises InvalidInput where there is nothing to read from at all.
    """

    name: str
    """Under which the store keeps what came from here; see `source_name`."""
    is_whole: bool
    """Whether what it no longer has is gone for good."""
    done: int
    total: int | None
    """How much of it has been read, and how much there is: notes, entries or bytes."""
    remarks: list[str]
    """What whoever started the import should know, when it is over."""

    def __iter__(self) -> Iterator[Unit]:
        """Read it."""


def source_name(kind: str, name: str) -> str:
    """Name a source as the store can keep it; a long name is cut, and stays distinct."""
    full = f"{kind}:{printable(name)}"
    if len(full) <= SOURCE_LENGTH:
        return full
    return f"{full[:200]}…{hashlib.sha256(full.encode()).hexdigest()[:32]}"


def printable(text: str) -> str:
    """Return text with what a terminal or a database would choke on written as escapes."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


@dataclass
class Summary:
    """What became of the K-Blocks of an import."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    vanished: int = 0
    deleted: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """What concerns a source as a whole."""
    field_remarks: list[tuple[str, str]] = field(default_factory=list)
    """Where something of a K-Block was left out or changed, and what; at most `MOST_REMARKS`."""
    remarked: dict[str, int] = field(default_factory=dict)
    """How many such remarks there are, by field."""
    skipped: dict[str, int] = field(default_factory=dict)
    """How much was left out as it should be, by kind."""
    interrupted: bool = False

    def count(self, change: Change) -> None:
        """Count what became of one K-Block."""
        setattr(self, change.value, getattr(self, change.value) + 1)

    def fail(self, where: str, reason: str) -> None:
        """Note something that was not imported."""
        self.failed += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures.append((printable(where), printable(reason)))

    def remark(self, where: str, problem: Problem) -> None:
        """Note something of a K-Block that was imported otherwise than it came."""
        kind = printable(problem.field)
        self.remarked[kind] = self.remarked.get(kind, 0) + 1
        if len(self.field_remarks) < MOST_REMARKS:
            self.field_remarks.append((printable(where), printable(str(problem))))


class KBlockImport:
    """Keeps the K-Blocks of one source, or of several one after the other.

    `dry_run` reads, checks and compares only. `prune` deletes what a source no longer has.
    """

    def __init__(
        self,
        store: KBlockStore,
        *,
        dry_run: bool = False,
        prune: bool = False,
        progress: Progress = lambda _done, _total: None,
    ) -> None:
        self._store = store
        self._dry_run = dry_run
        self._prune = prune
        self._progress = progress
        self._seen: dict[str, _Seen] = {}
        self.summary = Summary()

    async def run(self, source: Source) -> Summary:
        """Import a source; returns the summary of all sources up to this one.

        A call that is cancelled returns what was done so far. When it raises (DatabaseUnavailable,
        or InvalidInput for a source that is not there), `summary` has it.
        """
        failures: list[Failure] = []
        before = len(self._seen)
        try:
            units = iter(source)
            while not self.summary.interrupted:
                # In a thread: reading may wait for disks and networks.
                chunk = await asyncio.to_thread(_next_chunk, units)
                if not chunk:
                    break
                await self._keep(source.name, chunk, failures)
                self._progress(source.done, source.total)
            if source.is_whole and not self.summary.interrupted:
                await self._part(source.name, failures, empty=len(self._seen) == before)
        except asyncio.CancelledError:
            self.summary.interrupted = True
        self.summary.remarks += source.remarks
        return self.summary

    async def _keep(self, source: str, chunk: list[Unit], failures: list[Failure]) -> None:
        good: dict[str, Found] = {}
        for unit in await self._recognised(source, chunk):
            if isinstance(unit, Failure):
                failures.append(unit)
                self.summary.fail(unit.where, unit.reason)
            elif isinstance(unit, Skipped):
                counted = self.summary.skipped
                counted[unit.kind] = counted.get(unit.kind, 0) + unit.number
            elif (first := self._seen.get(unit.kblock.id)) is None:
                digest = unit.kblock.digest() if unit.identity else ""
                self._seen[unit.kblock.id] = _Seen(unit.where, _kept(unit.kblock, source), digest)
                good[unit.kblock.id] = unit
                for problem in unit.remarks:
                    self.summary.remark(unit.where, problem)
            elif unit.identity and first.digest == unit.kblock.digest():
                self.summary.count(Change.UNCHANGED)
            else:
                self.summary.fail(
                    unit.where,
                    f"id: {unit.kblock.id!r} is already that of {printable(first.where)}, which "
                    "counts; give one of them another id",
                )
        for change in await self._changes(source, good):
            self.summary.count(change)

    async def _recognised(self, source: str, chunk: list[Unit]) -> list[Unit]:
        """Give those K-Blocks that are kept under another id this id."""
        ids = {
            each
            for unit in chunk
            if isinstance(unit, Found) and unit.identity
            for each in (unit.kblock.id, *unit.identity.others)
        }
        kept = await self._store.kept(ids) if ids else {}
        taken = {each: seen.kept for each in ids if (seen := self._seen.get(each))}
        settled: list[Unit] = []
        for unit in chunk:
            if not isinstance(unit, Found) or unit.identity is None:
                settled.append(unit)
                continue
            name = recognised(unit.kblock, unit.identity, source, kept, taken)
            taken.setdefault(name, _kept(unit.kblock, source))
            settled.append(unit._replace(kblock=unit.kblock.model_copy(update={"id": name})))
        return settled

    async def _changes(self, source: str, found: dict[str, Found]) -> list[Change]:
        kblocks = [unit.kblock for unit in found.values()]
        if not self._dry_run:
            arrivals = {key: unit.arrived for key, unit in found.items() if unit.arrived}
            return await self._finish(self._store.put(kblocks, source=source, arrivals=arrivals))
        kept = await self._store.digests([kblock.id for kblock in kblocks])
        return [_change(kept.get(kblock.id), kblock.digest()) for kblock in kblocks]

    async def _part(self, source: str, failures: list[Failure], *, empty: bool) -> None:
        """Count what the store has and the source no longer has; delete it where that is wanted."""
        if any(failure.path is None and failure.kblock_id is None for failure in failures):
            self.summary.remarks.append(
                "Some failures do not tell which K-Blocks they are: no others count as vanished."
            )
            return
        paths = {failure.path for failure in failures if failure.path is not None}
        ids = {failure.kblock_id for failure in failures} | self._seen.keys()
        gone = [
            kblock_id
            for kblock_id, path in (await self._store.paths(source)).items()
            if kblock_id not in ids and not _lies_in(path, paths)
        ]
        self.summary.vanished += len(gone)
        if not gone or not self._prune or self._dry_run:
            return
        if empty:
            # A disk that is not mounted looks like this.
            self.summary.remarks.append("Nothing was found, so nothing was deleted.")
            return
        for start in range(0, len(gone), MOST_AT_ONCE):
            some = gone[start : start + MOST_AT_ONCE]
            self.summary.deleted += len(await self._finish(self._store.delete(some)))

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a transaction to its end; when cancelled meanwhile, the import ends after it."""
        task = asyncio.create_task(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self.summary.interrupted = True
            return await task


def _next_chunk(units: Iterator[Unit]) -> list[Unit]:
    chunk: list[Unit] = []
    size = 0
    for unit in units:
        chunk.append(unit)
        size += len(unit.kblock.content) if isinstance(unit, Found) else 0
        if len(chunk) == CHUNK or size >= CHUNK_BYTES:
            break
    return chunk


def _kept(kblock: KBlock, source: str) -> Kept:
    return Kept(kblock.title, kblock.path, kblock.created_at, source)


def _change(kept: str | None, digest: str) -> Change:
    if kept is None:
        return Change.ADDED
    return Change.UNCHANGED if kept == digest else Change.UPDATED


def _lies_in(path: str | None, paths: set[str]) -> bool:
    if path is None:
        return False
    own = PurePosixPath(path)
    return path in paths or any(str(folder) in paths for folder in own.parents)
