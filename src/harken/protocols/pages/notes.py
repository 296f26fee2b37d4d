"""What the reader's templates need for K-Blocks: cards of a feed, and full notes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape

from harken.domain.kblock import EdgeKind, KBlock
from harken.domain.slates import FeedPage, Item, SourceReference
from harken.protocols.pages.content import Known, Note, Source, is_on_the_web
from harken.protocols.pages.images.shown import PREFIX, ShownImages
from harken.protocols.pages.note_rendering import NoteRenderer
from harken.protocols.pages.selection import Selection
from harken.protocols.pages.words import Why, age, why
from harken.services.kblocks.attachments import Attachment, split
from harken.services.kblocks.store import KBlockStore, StoredKBlock
from harken.services.kblocks.turns import MOST_AT_ONCE


@dataclass(frozen=True)
class Card:
    """An item of a feed, with the texts of its card."""

    item: Item
    address: str
    age: str
    conflicts: dict[str, Note]
    """The notes that it contradicts, by id."""
    why: Why | None
    """Why it is in its place; None in results of a search."""
    title: str | None = None
    preview: str | None = None
    """Of a result of a search: safe HTML with the matches marked."""
    found_in: str = ""
    """The fields in which it was found."""
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True)
class FullNote:
    """A K-Block with its full content as safe HTML."""

    kblock: KBlock
    address: str
    age: str
    conflicts: dict[str, Note]
    html: str
    links: list[Note]
    source: str | None  # its URL on the web
    origin: SourceReference | None  # the source that it came from
    attachments: list[Attachment]


async def cards(page: FeedPage, selection: Selection, kblocks: KBlockStore) -> list[Card]:
    """Return the cards of a page; the page must have been requested with `explain`."""
    now = datetime.now(UTC)
    others = {other for item in page.items for other in item.contradicts or ()}
    notes = await _notes(sorted(others), selection, kblocks)
    attachments = await attachments_of(page.items, kblocks)
    return [
        Card(
            item=item,
            address=selection.of_kblock(item.id),
            age=age(item.created_at, now),
            conflicts={each: notes[each] for each in item.contradicts or () if each in notes},
            why=why(item.explanation or {}, item.reasons or []),
            attachments=attachments.get(item.id, ()),
        )
        for item in page.items
    ]


async def attachments_of(
    items: Iterable[Item], kblocks: KBlockStore
) -> dict[str, list[Attachment]]:
    """Return the attachments of items by id; only items of sources have any."""
    ids = [item.id for item in items if item.source is not None]
    return await kblocks.attachments(ids) if ids else {}


async def full_note(
    stored: StoredKBlock,
    selection: Selection,
    kblocks: KBlockStore,
    renderer: NoteRenderer,
    images: ShownImages | None = None,
) -> FullNote:
    """Return a K-Block with its content rendered, with links to the K-Blocks that it names.

    Without `images`, its pictures are links.
    """
    kblock = stored.kblock
    content, attachments = split(kblock.content)
    targets = sorted(kblock.targets(EdgeKind.LINKS))
    names = await kblocks.names(targets[:MOST_AT_ONCE])
    # Rendered once for all users: links contain a placeholder, which is replaced below.
    anyone = replace(selection, named=renderer.placeholder_user)
    known = [
        Known(id=each.id, path=each.path, title=each.title, address=anyone.of_kblock(each.id))
        for each in sorted(names.values())
    ]
    source = Source(
        id=kblock.id, path=kblock.path, title=kblock.title, content=content, known=known
    )
    if images is not None:
        source["images"] = f"{PREFIX}{renderer.placeholder_user}/"
    html = await renderer.html(source)
    if images is not None:
        html = await images.placed(html, source["images"], selection.root)
    html = html.replace(escape(anyone.user_parameter), escape(selection.user_parameter))
    conflicts = await _notes(stored.contradicts, selection, kblocks)
    return FullNote(
        kblock=kblock,
        address=selection.of_kblock(kblock.id),
        age=age(kblock.created_at or stored.updated_at, datetime.now(UTC)),
        conflicts=conflicts,
        html=html,
        links=[Note(selection.of_kblock(each.id), each.title) for each in sorted(names.values())],
        source=kblock.path if is_on_the_web(kblock.path) else None,
        origin=stored.source,
        attachments=attachments,
    )


async def _notes(ids: Sequence[str], selection: Selection, kblocks: KBlockStore) -> dict[str, Note]:
    if not ids:
        return {}
    known = await kblocks.names(ids[:MOST_AT_ONCE])
    return {key: Note(selection.of_kblock(key), name.title) for key, name in known.items()}
