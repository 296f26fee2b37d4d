"""The values of templates about comments, contradictions and links."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from harken.protocols.pages.content import Note
from harken.protocols.pages.notes import FullNote
from harken.protocols.pages.selection import Selection
from harken.protocols.pages.words import age
from harken.services.feed.service import FeedService
from harken.services.record.comments.store import Comment
from harken.services.record.reading.contradicting import Pair, Said

MOST_COMMENTS = 50
"""The comments that are shown at a time."""


@dataclass(frozen=True)
class Responses:
    """What readers said about some notes."""

    comments: Mapping[str, int]
    said: Said

    def taken_back(self, one: str, other: str) -> list[str]:
        """Return the events by which the user reported that two notes contradict each other."""
        return self.said.get(Pair.of(one, other), [])


class ShownComment(NamedTuple):
    """A comment, with how long ago it was written and edited."""

    comment: Comment
    age: str
    edited: str | None
    is_own: bool


async def responses_to(
    service: FeedService, selection: Selection, shown: Mapping[str, Iterable[str]]
) -> dict[str, Any]:
    """Return what readers said about notes, which are given with those they contradict."""
    counts = await service.readers.comments.counts(list(shown))
    pairs = {one: list(others) for one, others in shown.items()}
    named = {each for one, others in pairs.items() if others for each in (one, *others)}
    said = await service.readers.contradictions.said(selection.user, sorted(named))
    return {"responses": Responses(counts, said)}


async def comments_of(
    service: FeedService, selection: Selection, kblock_id: str, offset: int = 0
) -> dict[str, Any]:
    """Return the comments on a note, the oldest first."""
    found = await service.readers.comments.on(kblock_id, MOST_COMMENTS, offset)
    now = datetime.now(UTC)

    def ago(at: datetime | None) -> str:
        return "at an unknown time" if at is None else age(at, now)

    return {
        "selection": selection,
        "offset": offset,
        "total": found.total,
        "next_offset": found.next_offset,
        "comments": [
            ShownComment(
                each,
                ago(each.created_at),
                None if each.edited_at is None else ago(each.edited_at),
                each.user_id == selection.user and not selection.is_guest,
            )
            for each in found.comments
        ],
    }


async def page_values(service: FeedService, selection: Selection, note: FullNote) -> dict[str, Any]:
    """Return what the page of a note has besides the note."""
    incoming = await service.kblocks.linking(note.kblock.id)
    return {
        **await responses_to(service, selection, {note.kblock.id: note.conflicts}),
        **await comments_of(service, selection, note.kblock.id),
        "linked_from": _notes(selection, [(each.id, each.title) for each in incoming]),
    }


def _notes(selection: Selection, known: Sequence[tuple[str, str]]) -> list[Note]:
    return [Note(selection.of_kblock(key), title) for key, title in known]
