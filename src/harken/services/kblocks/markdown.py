"""A folder of Markdown notes, such as an Obsidian vault."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from harken.domain.fields import ID_LENGTH
from harken.domain.kblock import MAX_CONTENT_BYTES, MAX_EDGES, MAX_TITLE, EdgeKind, KBlock
from harken.errors import InvalidInput, Problem
from harken.services.kblocks import front_matter, times
from harken.services.kblocks.folders import File, files_in
from harken.services.kblocks.front_matter import FrontMatter
from harken.services.kblocks.importing import Failure, Found, printable, source_name
from harken.services.kblocks.links import Names, links_of, title_of

SUFFIXES = (".md", ".markdown")
MAX_FILE_BYTES = MAX_CONTENT_BYTES + front_matter.MAX_BYTES + 16
# Files that were all written so close together were copied, or checked out.
COPIED_WITHIN_SECONDS = 60
COPIED_AT_LEAST = 10


@dataclass(slots=True)
class _Note:
    """What is known of a note after the first look at it, without its content."""

    file: File
    id: str
    title: str = ""
    created: datetime | None = None
    failure: Failure | None = None


class Vault:
    """The notes of a folder, read twice: once for their names and times, once for the rest."""

    is_whole = True

    def __init__(
        self, folder: Path, name: str | None = None, created_from: Path | None = None
    ) -> None:
        """Name a vault, by its folder's name unless one is given; nothing is read yet.

        `created_from` is a file that says when notes were written, see `times.listed`. Raises
        InvalidInput for a name that is blank.
        """
        self._folder = folder
        self._vault = folder.resolve().name if name is None else name.strip()
        if not self._vault:
            raise InvalidInput(Problem("vault", "must not be blank"))
        self._created_from = created_from
        self._names = Names()
        self.name = source_name("markdown", self._vault)
        self.done = 0
        self.total: int | None = None
        self.remarks: list[str] = []

    def __iter__(self) -> Iterator[Found | Failure]:
        """Read the notes, in the order of their paths."""
        notes: list[_Note] = []
        for unit in files_in(self._folder, SUFFIXES):
            if isinstance(unit, Failure):
                yield unit
            else:
                notes.append(self._look_at(unit))
        self.total = len(notes)
        yield from self._settle_times(notes)
        for note in notes:
            self.done += 1
            yield note.failure or self._read(note)

    def _look_at(self, file: File) -> _Note:
        note = _Note(file, self._id_of(file))
        try:
            content, matter = _open(file)
            if "id" in matter.fields:
                # Checked now, so that no other note points to what cannot be one.
                note.id = KBlock.parse({"id": matter.fields["id"], "title": "-"}).id
            note.created = matter.created
            note.title = _title(file, matter, content)
        except InvalidInput as error:
            note.failure = _failure(note, error)
        # One that fails can still be meant by others: when it is mended, it is the same.
        self._names.add(file.path, note.id, note.title)
        return note

    def _id_of(self, file: File) -> str:
        named = f"{self._vault}\0{file.path}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(named).hexdigest()[:32]

    def _read(self, note: _Note) -> Found | Failure:
        try:
            content, matter = _open(note.file)
            fields = matter.fields | {
                "id": note.id,
                "title": note.title,
                "content": content,
                "path": note.file.path,
                "created_at": note.created,
                "edges": self._edges(note, content, matter),
            }
            return Found(str(note.file.full), KBlock.parse(fields))
        except InvalidInput as error:
            return _failure(note, error)

    def _edges(self, note: _Note, content: str, matter: FrontMatter) -> list[dict[str, str]]:
        path = note.file.path
        edges: dict[tuple[str, EdgeKind], None] = {}
        for name in matter.contradicts:
            # What is no note of this vault may be one of another, by its id.
            target = self._names.by_id(name, path) or name
            if len(target) > ID_LENGTH:
                wrong = f"{target[:ID_LENGTH]!r}… is no note of this vault, and too long for an id"
                raise InvalidInput(Problem("contradicts", wrong))
            edges[target, EdgeKind.CONTRADICTS] = None
        for link in links_of(content):
            if found := self._names.by_link(link, path):
                edges[found, EdgeKind.LINKS] = None
        others = [{"target": target, "kind": kind} for target, kind in edges if target != note.id]
        return others[:MAX_EDGES]

    def _settle_times(self, notes: list[_Note]) -> Iterator[Failure]:
        """Give a time to the notes that do not say their own."""
        said: dict[str, datetime] = {}
        if self._created_from:
            said, wrong = times.listed(self._created_from)
            yield from wrong
        for note in notes:
            note.created = note.created or said.get(note.file.path)
        if any(note.created is None for note in notes):
            added = times.from_git(self._folder)
            for note in notes:
                note.created = note.created or added.get(note.file.path)
        self._guess_times(notes)

    def _guess_times(self, notes: list[_Note]) -> None:
        undated = [note for note in notes if note.created is None]
        known = [note.created for note in notes if note.created is not None]
        if undated and known and _were_copied(notes):
            # The copy's time would make them the newest of all.
            earliest = min(known)
            for note in undated:
                note.created = earliest
            self.remarks.append(
                f"{len(undated)} of {len(notes)} notes of {printable(self._vault)} have no time of "
                f"their own, and their files are a copy's: they count as of {earliest:%Y-%m-%d}, "
                "the earliest time that another has."
            )
            return
        for note in undated:
            note.created = _modified(note.file)


def _open(file: File) -> tuple[str, FrontMatter]:
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
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong = f"is not UTF-8 at byte {error.start}; save it as UTF-8"
        raise InvalidInput(Problem("", wrong)) from None
    matter, content = front_matter.split(text)
    return content, front_matter.parse(matter)


def _too_large(size: int) -> InvalidInput:
    return InvalidInput(Problem("", f"takes {size} bytes; at most {MAX_CONTENT_BYTES} are kept"))


def _title(file: File, matter: FrontMatter, content: str) -> str:
    title: str = matter.fields.get("title") or title_of(content) or PurePosixPath(file.path).stem
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1].rstrip() + "…"


def _failure(note: _Note, error: InvalidInput) -> Failure:
    return Failure(str(note.file.full), str(error), note.file.path, note.id)


def _were_copied(notes: list[_Note]) -> bool:
    written = [note.file.modified for note in notes]
    return len(written) >= COPIED_AT_LEAST and max(written) - min(written) <= COPIED_WITHIN_SECONDS


def _modified(file: File) -> datetime | None:
    try:
        return datetime.fromtimestamp(file.modified, UTC)
    except (OSError, OverflowError, ValueError):
        return None
