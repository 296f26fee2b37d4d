"""Import of a folder of Markdown notes, such as an Obsidian vault."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from harken.domain.fields import ID_LENGTH, is_identifier
from harken.domain.kblock import (
    MAX_CONTENT_BYTES,
    MAX_EDGES,
    MAX_LABELS,
    MAX_TITLE,
    EdgeKind,
    KBlock,
)
from harken.domain.times import in_utc, is_zero_time
from harken.errors import InvalidInput, Problem, printable
from harken.services.kblocks.importers import front_matter, times
from harken.services.kblocks.importers.date_spellings import date_in_name
from harken.services.kblocks.importers.folders import File, decoded, files_in
from harken.services.kblocks.importers.links import Names, links_of, title_of
from harken.services.kblocks.importers.note_fields import (
    NoteFields,
    distinct_labels,
    one_line,
    read_note_fields,
)
from harken.services.kblocks.importers.run import (
    ImportFailure,
    ImportItem,
    Skipped,
    Unit,
    source_name,
)

SUFFIXES = (".md", ".markdown")
MAX_FILE_BYTES = MAX_CONTENT_BYTES + front_matter.MAX_BYTES + 16
# If all files were modified within this time, they were copied or checked out.
COPIED_WITHIN_SECONDS = 60
COPIED_AT_LEAST = 10
DRAFT = "draft"
DRAFTS = "drafts"
DRAFTS_FOLDER = "_drafts"

# A note with a problem in one of these fields fails; other fields with problems are left out.
_REQUIRED = frozenset({"id", "title", "content", "path"})


@dataclass(slots=True)
class _Note:
    """The data of a note after the first pass, without its content."""

    file: File
    id: str
    title: str = ""
    created: datetime | None = None
    is_draft: bool = False
    failure: ImportFailure | None = None


class Vault:
    """The notes of a folder. They are read twice: first for names and times, then for the rest."""

    is_whole = True

    def __init__(
        self,
        folder: Path,
        name: str | None = None,
        created_from: Path | None = None,
        *,
        drafts: bool = False,
        folders_as_tags: bool = False,
    ) -> None:
        """Take the folder of a vault, without reading it yet.

        `name` is the vault's name, by default that of its folder. `created_from` is a file of
        creation times, see `times.read_time_list`. With `drafts`, drafts are imported with the tag
        DRAFT. With `folders_as_tags`, a note has its folders as tags. Raises InvalidInput for a
        blank name.
        """
        self._folder = folder
        self._vault = folder.resolve().name if name is None else name.strip()
        if not self._vault:
            raise InvalidInput(Problem("vault", "must not be blank"))
        self._created_from = created_from
        self._drafts = drafts
        self._folders_as_tags = folders_as_tags
        self._names = Names()
        self.name = source_name("markdown", self._vault)
        self.done = 0
        self.total: int | None = None
        self.remarks: list[str] = []

    def __iter__(self) -> Iterator[Unit]:
        """Read the notes, in the order of their paths."""
        notes: list[_Note] = []
        skipped: Counter[str] = Counter()
        for unit in files_in(self._folder, SUFFIXES, skipped):
            if isinstance(unit, ImportFailure):
                yield unit
                continue
            note = self._look_at(unit)
            if note.is_draft and not self._drafts:
                skipped[DRAFTS] += 1
            else:
                notes.append(note)
        self.total = len(notes)
        yield from self._settle_times(notes)
        for note in notes:
            self.done += 1
            yield note.failure or self._read(note)
        yield from (Skipped(kind, count) for kind, count in sorted(skipped.items()) if count)

    def _look_at(self, file: File) -> _Note:
        note = _Note(file, self._id_of(file))
        aliases: list[str] = []
        try:
            content, own = _open(file)
            # Set before the second pass, so that links of other notes use this id.
            note.id = own.fields.get("id", note.id)
            note.created = own.created
            note.title = _title(file, own, content)
            note.is_draft = own.is_draft or DRAFTS_FOLDER in _folders(file)
            aliases = own.aliases
        except InvalidInput as error:
            note.failure = _failure(note, error)
        if self._drafts or not note.is_draft:
            # Others can link to a note that fails: it will have the same id when it is corrected.
            self._names.add(file.path, note.id, note.title)
            self._names.add_aliases(file.path, note.id, aliases)
        return note

    def _id_of(self, file: File) -> str:
        named = f"{self._vault}\0{file.path}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(named).hexdigest()[:32]

    def _read(self, note: _Note) -> Unit:
        try:
            content, own = _open(note.file)
            remarks = own.remarks
            if len(own.fields.get("title", "")) > MAX_TITLE:
                remarks.append(Problem("title", f"is cut to {MAX_TITLE} characters"))
            fields = own.fields | {
                "id": note.id,
                "title": note.title,
                "content": content,
                "path": note.file.path,
                "tags": self._tags(note, own),
                "created_at": note.created,
                "edges": self._edges(note, content, own),
            }
            kblock = _parse(fields, remarks)
            return ImportItem(str(note.file.full), kblock, tuple(remarks))
        except InvalidInput as error:
            return _failure(note, error)

    def _tags(self, note: _Note, own: NoteFields) -> list[str]:
        tags: list[str] = [DRAFT] if note.is_draft else []
        tags += own.fields.get("tags", [])
        if self._folders_as_tags:
            for folder in _folders(note.file):
                label = one_line(folder.replace("#", ""))
                if len(label) > ID_LENGTH:
                    own.remarks.append(Problem("folder", f"is cut for a tag: {label[:100]!r}"))
                if label and not folder.startswith("_"):
                    tags.append(label[:ID_LENGTH].strip())
        found = distinct_labels(tags)
        if len(found) > MAX_LABELS:
            own.remarks.append(Problem("tags", f"the first {MAX_LABELS} of {len(found)} are kept"))
        return found[:MAX_LABELS]

    def _edges(self, note: _Note, content: str, own: NoteFields) -> list[dict[str, str]]:
        path = note.file.path
        edges: dict[tuple[str, EdgeKind], None] = {}
        for name in own.contradicts:
            # A name that is not a note of this vault may be the id of another K-Block.
            target = self._names.by_id(name, path) or name
            if is_identifier(target):
                edges[target, EdgeKind.CONTRADICTS] = None
                continue
            wrong = f"{target[:ID_LENGTH]!r}… is not a note of this vault, and too long for an id"
            own.remarks.append(Problem("contradicts", wrong))
        for link in links_of(content):
            if found := self._names.by_link(link, path):
                edges[found, EdgeKind.LINKS] = None
        others = [{"target": target, "kind": kind} for target, kind in edges if target != note.id]
        return others[:MAX_EDGES]

    def _settle_times(self, notes: list[_Note]) -> Iterator[ImportFailure]:
        """Set the times of the notes whose front matter has none."""
        given: dict[str, datetime] = {}
        if self._created_from:
            given, wrong, zeros = times.read_time_list(self._created_from)
            yield from wrong
            if zeros:
                self.remarks.append(
                    f"{self._created_from} has {zeros} zero times, which mean no date."
                )
        for note in notes:
            note.created = note.created or given.get(note.file.path) or _named(note.file)
        if any(note.created is None for note in notes):
            added = times.from_git(self._folder)
            for note in notes:
                note.created = note.created or added.get(note.file.path)
        self._guess_times(notes)

    def _guess_times(self, notes: list[_Note]) -> None:
        undated = [note for note in notes if note.created is None]
        known = [note.created for note in notes if note.created is not None]
        if undated and known and _were_copied(notes):
            # The time of the copy would make them the newest notes.
            earliest = min(known)
            for note in undated:
                note.created = earliest
            self.remarks.append(
                f"{len(undated)} of {len(notes)} notes of {printable(self._vault)} have no date, "
                f"and their files were copied: they get the date {earliest:%Y-%m-%d}, the earliest "
                "of all other notes."
            )
            return
        if undated and _were_copied(notes):
            self.remarks.append(
                f"No note of {printable(self._vault)} has a date, and its files were copied: all "
                "count as written then. --created-from names a file with their times."
            )
        for note in undated:
            note.created = _modified(note.file)


def _open(file: File) -> tuple[str, NoteFields]:
    """Read a note; raises InvalidInput."""
    if file.size > MAX_FILE_BYTES:
        raise _too_large(file.size)
    try:
        with file.full.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidInput(Problem("", f"cannot be read: {error.strerror}")) from None
    if len(raw) > MAX_FILE_BYTES:
        raise _too_large(len(raw))
    text, remarks = decoded(raw)
    matter = front_matter.split_front_matter(text)
    own = read_note_fields(matter)
    own.remarks[:0] = remarks
    return matter.content, own


def _parse(fields: dict[str, Any], remarks: list[Problem]) -> KBlock:
    """Make a K-Block, without the optional fields that are invalid; raises InvalidInput."""
    try:
        return KBlock.parse(fields)
    except InvalidInput as error:
        wrong = {problem.field.partition(".")[0] for problem in error.problems}
        if wrong & _REQUIRED or not wrong <= fields.keys():
            raise
        remarks += error.problems
        return KBlock.parse({key: fields[key] for key in fields.keys() - wrong})


def _too_large(size: int) -> InvalidInput:
    return InvalidInput(Problem("", f"takes {size} bytes; at most {MAX_CONTENT_BYTES} are kept"))


def _title(file: File, own: NoteFields, content: str) -> str:
    name = PurePosixPath(file.path)
    dated = date_in_name(name.stem)
    title: str = own.fields.get("title") or title_of(content) or (dated and dated.rest) or name.stem
    if not title.isprintable() or not title.strip():
        title = one_line(title) or one_line(name.name)
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1].rstrip() + "…"


def _folders(file: File) -> tuple[str, ...]:
    return PurePosixPath(file.path).parts[:-1]


def _named(file: File) -> datetime | None:
    dated = date_in_name(PurePosixPath(file.path).stem)
    return dated.at if dated else None


def _failure(note: _Note, error: InvalidInput) -> ImportFailure:
    return ImportFailure(str(note.file.full), str(error), note.file.path, note.id)


def _were_copied(notes: list[_Note]) -> bool:
    written = [note.file.modified for note in notes]
    return len(written) >= COPIED_AT_LEAST and max(written) - min(written) <= COPIED_WITHIN_SECONDS


def _modified(file: File) -> datetime | None:
    try:
        at = in_utc(datetime.fromtimestamp(file.modified, UTC))
    except (OSError, OverflowError, ValueError):
        return None
    return None if is_zero_time(at) else at
