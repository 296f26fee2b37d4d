"""Import and export of whole logs."""

import asyncio
import gzip
import json
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import UUID

from harken.domain.feedback import Interaction, LogEntry, canonical_json
from harken.errors import InvalidInput, Problem
from harken.services.record.files.files import Reading, format_of
from harken.services.record.files.log_reader import Chunk, ImportSummary, LogReader, Progress
from harken.services.record.files.mapping import LogMapping
from harken.services.record.files.rejects import Rejects
from harken.services.record.files.writers import EXPORTED, writer
from harken.services.record.persistence import FeedFeedbackPersistence


class LogImport:
    """Imports the events of a file.

    An event without an id gets one from its content and the number of equal events before it in the
    file. So a repeated import, whole or after an interruption, adds only missing events, and equal
    events within a file count separately.
    """

    def __init__(
        self,
        persistence: FeedFeedbackPersistence,
        mapping: LogMapping,
        rejects: Rejects | None = None,
    ) -> None:
        self._persistence = persistence
        self._reader = LogReader(mapping, self._with_id, rejects)
        self._occurrences: Counter[bytes] = Counter()
        self.summary = self._reader.summary

    async def run(
        self,
        path: Path,
        reading: Reading | None = None,
        *,
        dry_run: bool = False,
        progress: Progress = lambda _done, _size: None,
    ) -> ImportSummary:
        """Record the events of a file; `dry_run` only reads and checks them.

        A cancelled call returns the summary so far. If it raises DatabaseUnavailable, or
        InvalidInput for a file that cannot be read, `summary` has the results so far.
        """
        try:
            with closing(self._reader.chunks(path, reading, progress)) as chunks:
                for chunk in chunks:
                    if dry_run:
                        self._check(chunk)
                    else:
                        await self._record(chunk)
                    self.summary.lines = chunk.line
                    if self.summary.interrupted:
                        break
        except asyncio.CancelledError:
            self.summary.interrupted = True
        finally:
            self.summary.refusals.sort()
        return self.summary

    def _check(self, chunk: Chunk) -> None:
        now = datetime.now(UTC)
        for row, interaction in chunk.events:
            try:
                interaction.entry(received_at=now, new_id="")
            except InvalidInput as error:
                self._reader.refuse(row, str(error))
            else:
                self.summary.added += 1

    async def _record(self, chunk: Chunk) -> None:
        good = chunk.events
        recording = asyncio.create_task(  # noqa: RUF006 — it is awaited in every case
            self._persistence.record_batch([interaction for _, interaction in good])
        )
        try:
            result = await asyncio.shield(recording)
        except asyncio.CancelledError:
            # The running commit is awaited and counted; then the import ends.
            self.summary.interrupted = True
            result = await recording
        self.summary.added += result.accepted
        self.summary.repeated += result.duplicates
        for rejection in result.rejected:
            self._reader.refuse(good[rejection.index][0], str(rejection.error))

    def _with_id(self, interaction: Interaction) -> Interaction:
        if interaction.interaction_id is not None:
            return interaction
        derived = derived_id(interaction, self._occurrences)
        return interaction.model_copy(update={"interaction_id": derived})


def derived_id(interaction: Interaction, occurrences: Counter[bytes]) -> str:
    """Return an id for an event without one, and count the event in `occurrences`.

    The id is a UUID of version 8 (RFC 9562, §5.8): 48 bits of the event's time in milliseconds
    since 1970 (0 without a time), so that ids sort like the events, and 74 bits of a hash of all
    fields and of the number of equal events before it.
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
    *,
    replace: bool = True,
) -> int:
    """Write a snapshot of the log to a file, in chronological order; returns the event count.

    Events have the fields of REST, so the file can be imported again. The path `-` means standard
    output. The file appears only when it is complete; without `replace`, only if there is none.
    Raises InvalidInput if it cannot be written.
    """
    if str(path) == "-":
        return await _write(persistence, sys.stdout.buffer, format_name or "jsonl", since, until)
    format_name = format_of(path, format_name)
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            if path.suffix == ".gz":
                # A GzipFile is a binary file, but its type does not say so.
                with gzip.GzipFile(fileobj=file, mode="wb") as packed:
                    stream = cast("BinaryIO", packed)
                    written = await _write(persistence, stream, format_name, since, until)
            else:
                written = await _write(persistence, file, format_name, since, until)
        _publish(partial, path, replace=replace)
    except OSError as error:
        raise InvalidInput(Problem("file", f"{path}: {error.strerror}")) from error
    finally:
        if partial.exists():
            partial.unlink()
    return written


def _publish(partial: Path, path: Path, *, replace: bool) -> None:
    if not replace and path.exists():  # it appeared meanwhile
        raise InvalidInput(Problem("file", f"{path} is already there, and was not replaced"))
    partial.replace(path)


async def _write(
    persistence: FeedFeedbackPersistence,
    stream: BinaryIO,
    format_name: str,
    since: datetime | None,
    until: datetime | None,
) -> int:
    written = 0
    events = writer(stream, format_name, EXPORTED)
    async for page in persistence.entries(since, until):
        events.write([_event(entry) for entry in page])
        written += len(page)
    events.close()
    return written


def _event(entry: LogEntry) -> dict[str, Any]:
    event = dict(zip(EXPORTED, entry, strict=True))
    if entry.interaction_metadata is not None:
        event["metadata"] = json.loads(entry.interaction_metadata)
    event["occurred_at"] = entry.created_at.isoformat()
    return event
