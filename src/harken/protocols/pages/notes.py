"""K-Blocks as readers see them: as cards of a feed, and whole."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape

from harken.domain.feeds import FeedRanking
from harken.domain.kblock import EdgeKind, KBlock
from harken.domain.slates import FeedPage, Item
from harken.protocols.pages.choice import Choice
from harken.protocols.pages.content import Known, Note, Source, is_on_the_web
from harken.protocols.pages.rendered import RenderedNotes
from harken.protocols.pages.words import Why, age, why
from harken.services.kblocks.store import MOST_AT_ONCE, KBlockStore, StoredKBlock


@dataclass(frozen=True)
class Card:
    """An item of a feed with what is written beside it."""

    item: Item
    address: str
    age: str
    conflicts: list[Note]
    why: Why


@dataclass(frozen=True)
class Whole:
    """A K-Block with all that it says, as HTML that is safe."""

    kblock: KBlock
    address: str
    age: str
    conflicts: list[Note]
    html: str
    source: str | None  # where it is on the web


async def cards(
    page: FeedPage, ranking: FeedRanking, choice: Choice, kblocks: KBlockStore
) -> list[Card]:
    """Make the cards of a page, which has to have been explained."""
    now = datetime.now(UTC)
    others = {other for item in page.items for other in item.contradicts or ()}
    notes = await _notes(sorted(others), choice, kblocks)
    return [
        Card(
            item=item,
            address=choice.of_kblock(item.id),
            age=age(item.created_at, now),
            conflicts=[notes[each] for each in item.contradicts or () if each in notes],
            why=why(item.explanation or {}, item.score, ranking, by_model=page.model is not None),
        )
        for item in page.items
    ]


async def whole(
    stored: StoredKBlock, choice: Choice, kblocks: KBlockStore, rendered: RenderedNotes
) -> Whole:
    """Render a K-Block, with links to those that it knows of."""
    kblock = stored.kblock
    targets = sorted(kblock.targets(EdgeKind.LINKS))
    names = await kblocks.names(targets[:MOST_AT_ONCE])
    # For whoever reads, so that it is rendered once for all of them.
    anyone = replace(choice, named=rendered.anyone)
    known = [
        Known(id=each.id, path=each.path, title=each.title, address=anyone.of_kblock(each.id))
        for each in sorted(names.values())
    ]
    html = await rendered.html(
        Source(
            id=kblock.id, path=kblock.path, title=kblock.title, content=kblock.content, known=known
        )
    )
    html = html.replace(escape(anyone.reader), escape(choice.reader))
    conflicts = await _notes(stored.contradicts, choice, kblocks)
    return Whole(
        kblock=kblock,
        address=choice.of_kblock(kblock.id),
        age=age(kblock.created_at or stored.updated_at, datetime.now(UTC)),
        conflicts=list(conflicts.values()),
        html=html,
        source=kblock.path if is_on_the_web(kblock.path) else None,
    )


async def _notes(ids: Sequence[str], choice: Choice, kblocks: KBlockStore) -> dict[str, Note]:
    if not ids:
        return {}
    known = await kblocks.names(ids[:MOST_AT_ONCE])
    return {key: Note(choice.of_kblock(key), name.title) for key, name in known.items()}
