"""The import of K-Blocks: the interface of importers, and the run that stores what they read."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Protocol, TypeVar

from harken.domain.kblock import KBlock
from harken.errors import Problem, printable
from harken.services.kblocks.importers.recognition import Identity, recognised
from harken.services.kblocks.store import Change, KBlockStore, StoredProperties
from harken.services.kblocks.turns import MOST_AT_ONCE

CHUNK = 250
CHUNK_BYTES = 8 * 1024 * 1024
MOST_FAILURES = 1_000
MOST_REMARKS = 1_000
SOURCE_LENGTH = 255

T = TypeVar("T")

Progress = Callable[[int, int | None], None]
"""Called with the units that are done, and their total if it is known."""


class ImportItem(NamedTuple):
    """A K-Block that an importer read, its location, and remarks on what was left out or changed.

    `arrived` is the creation time of a new K-Block that has no date. A K-Block with an `identity`
    is also looked up by other ids, and may occur repeatedly without being a failure.
    """

    where: str
    kblock: KBlock
    remarks: tuple[Problem, ...] = ()
    arrived: datetime | None = None
    identity: Identity | None = None


class Skipped(NamedTuple):
    """Items that an importer left out on purpose: their kind and number."""

    kind: str
    number: int = 1


class _Seen(NamedTuple):
    """A K-Block that this import has stored."""

    where: str
    kept: StoredProperties
    digest: str


class ImportFailure(NamedTuple):
    """An item that an importer could not read, and what would be right.

    `path` (of a file, or of a folder with its content) or `kblock_id` identify the K-Blocks that it
    would have been. If both are None, it may be any K-Block: then none counts as vanished.
    """

    where: str
    reason: str
    path: str | None = None
    kblock_id: str | None = None


Unit = ImportItem | ImportFailure | Skipped


class Source(Protocol):
    """A source of K-Blocks: iterate over it once, in a thread.

    Iterating raises InvalidInput if the source does not exist.
    """

    name: str
    """The name of the source in the store; see `source_name`."""
    is_whole: bool
    """Whether K-Blocks that the source no longer contains have been deleted."""
    done: int
    total: int | None
    """How much has been read, and how much there is: notes, entries or bytes."""
    remarks: list[str]
    """Remarks about the source as a whole, complete after the iteration."""

    def __iter__(self) -> Iterator[Unit]:
        """Read the source."""


def source_name(kind: str, name: str) -> str:
    """Return the name of a source for the store; a long name is cut, and ends with a hash."""
    full = f"{kind}:{printable(name)}"
    if len(full) <= SOURCE_LENGTH:
        return full
    return f"{full[:200]}…{hashlib.sha256(full.encode()).hexdigest()[:32]}"


@dataclass
class Summary:
    """The results of an import."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    vanished: int = 0
    deleted: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """Remarks about sources as a whole."""
    field_remarks: list[tuple[str, str]] = field(default_factory=list)
    """Location and remark for each field that was left out or changed; at most `MOST_REMARKS`."""
    remarked: dict[str, int] = field(default_factory=dict)
    """The number of such remarks by field."""
    skipped: dict[str, int] = field(default_factory=dict)
    """The number of items that were left out on purpose, by kind."""
    interrupted: bool = False

    def count(self, change: Change) -> None:
        """Count the result for one K-Block."""
        setattr(self, change.value, getattr(self, change.value) + 1)

    def fail(self, where: str, reason: str) -> None:
        """Note an item that was not imported."""
        self.failed += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures.append((printable(where), printable(reason)))

    def remark(self, where: str, problem: Problem) -> None:
        """Note a field of a K-Block that was left out or changed."""
        kind = printable(problem.field)
        self.remarked[kind] = self.remarked.get(kind, 0) + 1
        if len(self.field_remarks) < MOST_REMARKS:
            self.field_remarks.append((printable(where), printable(str(problem))))


class KBlockImport:
    """Imports the K-Blocks of one source, or of several in sequence.

    `dry_run` reads, checks and compares without writing. `prune` deletes K-Blocks that a source no
    longer contains.
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

        A cancelled call returns the summary so far. If it raises DatabaseUnavailable, or
        InvalidInput for a source that does not exist, `summary` has the results so far.
        """
        failures: list[ImportFailure] = []
        before = len(self._seen)
        try:
            units = iter(source)
            while not self.summary.interrupted:
                # In a thread, since reading may wait for disks and networks.
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

    async def _keep(self, source: str, chunk: list[Unit], failures: list[ImportFailure]) -> None:
        good: dict[str, ImportItem] = {}
        for unit in await self._recognised(source, chunk):
            if isinstance(unit, ImportFailure):
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
                    f"id: {unit.kblock.id!r} is already the id of {printable(first.where)}, which "
                    "was imported; give one of them another id",
                )
        for change in await self._changes(source, good):
            self.summary.count(change)

    async def _recognised(self, source: str, chunk: list[Unit]) -> list[Unit]:
        """Return the units; K-Blocks that are stored under another id get this id."""
        ids = {
            each
            for unit in chunk
            if isinstance(unit, ImportItem) and unit.identity
            for each in (unit.kblock.id, *unit.identity.others)
        }
        kept = await self._store.properties(ids) if ids else {}
        taken = {each: seen.kept for each in ids if (seen := self._seen.get(each))}
        settled: list[Unit] = []
        for unit in chunk:
            if not isinstance(unit, ImportItem) or unit.identity is None:
                settled.append(unit)
                continue
            name = recognised(unit.kblock, unit.identity, source, kept, taken)
            taken.setdefault(name, _kept(unit.kblock, source))
            settled.append(unit._replace(kblock=unit.kblock.model_copy(update={"id": name})))
        return settled

    async def _changes(self, source: str, found: dict[str, ImportItem]) -> list[Change]:
        kblocks = [unit.kblock for unit in found.values()]
        if not self._dry_run:
            arrivals = {key: unit.arrived for key, unit in found.items() if unit.arrived}
            return await self._finish(self._store.put(kblocks, source=source, arrivals=arrivals))
        kept = await self._store.digests([kblock.id for kblock in kblocks])
        return [_change(kept.get(kblock.id), kblock.digest()) for kblock in kblocks]

    async def _part(self, source: str, failures: list[ImportFailure], *, empty: bool) -> None:
        """Count K-Blocks that the source no longer contains, and delete them with `prune`."""
        if any(failure.path is None and failure.kblock_id is None for failure in failures):
            self.summary.remarks.append(
                "Some failures do not tell which K-Blocks they are, so none count as vanished."
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
            # A disk that is not mounted looks like an empty source.
            self.summary.remarks.append("Nothing was found, so nothing was deleted.")
            return
        for start in range(0, len(gone), MOST_AT_ONCE):
            some = gone[start : start + MOST_AT_ONCE]
            self.summary.deleted += len(await self._finish(self._store.delete(some)))

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait until a transaction ends; if cancelled meanwhile, interrupt the import after it."""
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
        size += len(unit.kblock.content) if isinstance(unit, ImportItem) else 0
        if len(chunk) == CHUNK or size >= CHUNK_BYTES:
            break
    return chunk


def _kept(kblock: KBlock, source: str) -> StoredProperties:
    return StoredProperties(kblock.title, kblock.path, kblock.created_at, source)


def _change(kept: str | None, digest: str) -> Change:
    if kept is None:
        return Change.ADDED
    return Change.UNCHANGED if kept == digest else Change.UPDATED


def _lies_in(path: str | None, paths: set[str]) -> bool:
    if path is None:
        return False
    own = PurePosixPath(path)
    return path in paths or any(str(folder) in paths for folder in own.parents)
