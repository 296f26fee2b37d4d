"""Whole logs in and out."""

import asyncio
import gzip
import json
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast
from uuid import UUID

from harken.domain.feedback import Interaction, LogEntry, canonical_json
from harken.errors import InvalidInput, Problem
from harken.services.feed.log_files import EventFile, Row, format_of, writer
from harken.services.feed.mapping import LogMapping
from harken.services.feed.persistence import FeedFeedbackPersistence

CHUNK = 1_000
MOST_REFUSALS = 1_000

Progress = Callable[[int, int], None]
"""Called with the bytes that are done, and with the bytes that there are."""


@dataclass
class ImportSummary:
    """What became of a file's events."""

    added: int = 0
    repeated: int = 0
    refused: int = 0
    refusals: list[tuple[int, str]] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    lines: int = 0
    untimed: int = 0
    interrupted: bool = False

    def refuse(self, line: int, reason: str) -> None:
        """Note a line that was not recorded."""
        self.refused += 1
        if len(self.refusals) < MOST_REFUSALS:
            self.refusals.append((line, reason))


class Chunk(NamedTuple):
    """Some events of a file with their lines, and the last line that was looked at for them."""

    events: list[tuple[int, Interaction]]
    line: int


class LogReader:
    """Reads the events of a file, and notes in `summary` what is refused, and how it was read.

    `finish` is applied to each event, and may refuse it.
    """

    def __init__(
        self, mapping: LogMapping, finish: Callable[[Interaction], Interaction] = lambda each: each
    ) -> None:
        self._mapping = mapping
        self._finish = finish
        self.summary = ImportSummary()

    def chunks(
        self,
        path: Path,
        format_name: str | None = None,
        progress: Progress = lambda _done, _size: None,
    ) -> Generator[Chunk]:
        """Yield the events, some at a time; refused ones are left out.

        Raises InvalidInput for a file that cannot be read.
        """
        with EventFile(path, format_name) as file:
            rows = iter(file)
            while chunk := list(islice(rows, CHUNK)):
                yield Chunk(list(self._good(chunk)), chunk[-1].line)
                progress(file.position, file.size)

    def _good(self, rows: list[Row]) -> Iterator[tuple[int, Interaction]]:
        for line, fields in rows:
            try:
                yield line, self._interaction(fields)
            except InvalidInput as error:
                self.summary.refuse(line, str(error))

    def _interaction(self, fields: dict[str, Any] | str) -> Interaction:
        if isinstance(fields, str):
            raise InvalidInput(Problem("", fields))
        self._note(fields)
        interaction = self._mapping.interaction(fields)
        if interaction.occurred_at is None:
            self.summary.untimed += 1
        return self._finish(interaction)

    def _note(self, fields: dict[str, Any]) -> None:
        names = self._mapping.names(tuple(fields))
        if len(names) != len(fields) or not self.summary.columns.keys() >= names.keys():
            self.summary.columns |= names
            ignored = [c for c in fields if c not in names and c not in self.summary.ignored]
            self.summary.ignored += ignored[: 50 - len(self.summary.ignored)]


class LogImport:
    """Records the events of a file.

    An event without an id gets one from its content and from how many equal ones stand before it
    in the file. So a file that is imported again, whole or after an interruption, adds only what
    is missing, while events that a file repeats are as many events.
    """

    def __init__(self, persistence: FeedFeedbackPersistence, mapping: LogMapping) -> None:
        self._persistence = persistence
        self._reader = LogReader(mapping, self._with_id)
        self._occurrences: Counter[bytes] = Counter()
        self.summary = self._reader.summary

    async def run(
        self,
        path: Path,
        format_name: str | None = None,
        *,
        dry_run: bool = False,
        progress: Progress = lambda _done, _size: None,
    ) -> ImportSummary:
        """Record a file's events; `dry_run` reads and checks them only.

        A call that is cancelled returns what was done so far. When it raises (DatabaseUnavailable,
        or InvalidInput for a file that cannot be read), `summary` has it.
        """
        try:
            with closing(self._reader.chunks(path, format_name, progress)) as chunks:
                for chunk in chunks:
                    if dry_run:
                        self._check(chunk.events)
                    else:
                        await self._record(chunk.events)
                    self.summary.lines = chunk.line
                    if self.summary.interrupted:
                        break
        except asyncio.CancelledError:
            self.summary.interrupted = True
        finally:
            self.summary.refusals.sort()
        return self.summary

    def _check(self, good: list[tuple[int, Interaction]]) -> None:
        now = datetime.now(UTC)
        for line, interaction in good:
            try:
                interaction.entry(received_at=now, new_id="")
            except InvalidInput as error:
                self.summary.refuse(line, str(error))
            else:
                self.summary.added += 1

    async def _record(self, good: list[tuple[int, Interaction]]) -> None:
        recording = asyncio.create_task(  # noqa: RUF006 — it is awaited, whatever happens
            self._persistence.record_batch([interaction for _, interaction in good])
        )
        try:
            result = await asyncio.shield(recording)
        except asyncio.CancelledError:
            # What is being committed is waited for and counted; after it, the import ends.
            self.summary.interrupted = True
            result = await recording
        self.summary.added += result.accepted
        self.summary.repeated += result.duplicates
        for rejection in result.rejected:
            self.summary.refuse(good[rejection.index][0], str(rejection.error))

    def _with_id(self, interaction: Interaction) -> Interaction:
        if interaction.interaction_id is not None:
            return interaction
        derived = derived_id(interaction, self._occurrences)
        return interaction.model_copy(update={"interaction_id": derived})


def derived_id(interaction: Interaction, occurrences: Counter[bytes]) -> str:
    """Make the id of an event that has none, and count it among `occurrences`.

    A UUID of version 8 (RFC 9562, §5.8): 48 bits of the event's time in milliseconds (0 where it
    has none), so that ids sort as the events do, and 74 bits of a hash of all that is known of it.
    """
    content = interaction.model_dump(mode="json", exclude={"metadata", "interaction_id"})
    if interaction.metadata is not None:
        content["metadata"] = canonical_json(interaction.metadata)
    digest = sha256(json.dumps(content, sort_keys=True).encode("utf-8", "surrogatepass")).digest()
    nth = occurrences[digest]
    occurrences[digest] += 1
    hashed = sha256(digest + nth.to_bytes(8, "big")).digest()
    at = interaction.occurred_at
    milliseconds = 0 if at is None else max(0, int(at.timestamp() * 1000))
    bits = (milliseconds & (2**48 - 1)) << 80 | int.from_bytes(hashed[:10], "big")
    bits = bits & ~(0xF << 76) | 8 << 76  # version
    bits = bits & ~(0x3 << 62) | 0x2 << 62  # variant
    return str(UUID(int=bits))


async def export_log(
    persistence: FeedFeedbackPersistence,
    path: Path,
    format_name: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Write the log to a file, as of one moment and in the order of time; returns its length.

    The events are as REST takes them, so the file can be imported again; `-` is standard output.
    A file appears when it is complete, and not before. Raises InvalidInput where it cannot be
    written.
    """
    if str(path) == "-":
        return await _write(persistence, sys.stdout.buffer, format_name or "jsonl", since, until)
    format_name = format_of(path, format_name)
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            if path.suffix == ".gz":
                # A GzipFile writes bytes as a file does, which its type does not say.
                with gzip.GzipFile(fileobj=file, mode="wb") as packed:
                    stream = cast("BinaryIO", packed)
                    written = await _write(persistence, stream, format_name, since, until)
            else:
                written = await _write(persistence, file, format_name, since, until)
        partial.replace(path)
    except OSError as error:
        raise InvalidInput(Problem("file", f"{path}: {error.strerror}")) from error
    finally:
        if partial.exists():
            partial.unlink()
    return written


async def _write(
    persistence: FeedFeedbackPersistence,
    stream: BinaryIO,
    format_name: str,
    since: datetime | None,
    until: datetime | None,
) -> int:
    written = 0
    events = writer(stream, format_name, FIELDS)
    async for page in persistence.entries(since, until):
        events.write([_event(entry) for entry in page])
        written += len(page)
    events.close()
    return written


# What an event of an exported file has, in the order of its columns.
FIELDS = (
    "interaction_id",
    "user_id",
    "kblock_id",
    "action",
    "dwell_time_ms",
    "interaction_type",
    "metadata",
    "occurred_at",
    "request_id",
    "position",
    "session_id",
)


def _event(entry: LogEntry) -> dict[str, Any]:
    event = dict(zip(FIELDS, entry, strict=True))
    if entry.interaction_metadata is not None:
        event["metadata"] = json.loads(entry.interaction_metadata)
    event["occurred_at"] = entry.created_at.isoformat()
    return event
