"""K-Blocks that are similar to one: by their readers (item-to-item), and by their content.

The more readers both K-Blocks of a pair have, the more their readers count, compared with their
content. So a new K-Block has similar ones, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from uuid_utils import uuid7

from harken.domain.feedback import GUEST
from harken.domain.fields import check_identifier, check_kept_identifier
from harken.domain.slates import SIMILAR_FEED, Contribution, Item, ShownKBlock, Slate
from harken.errors import InvalidInput, NotFound, Problem
from harken.services.features.state import Features
from harken.services.feed.caches.catalogue import Catalogue
from harken.services.feed.caches.profiles import Profiles
from harken.services.feed.request import MOST_ITEMS
from harken.services.index.exclusions import hidden_rows
from harken.services.index.index import Floats, Index, Mask, Rows
from harken.services.index.ordering import less
from harken.services.personal import similarity
from harken.services.personal.similarity import PRIOR, Content
from harken.services.record.readers import ReaderStore
from harken.services.record.slates import SlateLedger

LIMIT = 10


@dataclass(frozen=True)
class SimilarItems:
    """K-Blocks that are similar to one, the most similar first; their slate is committed."""

    kblock_id: str
    items: list[Item]
    request_id: str


@dataclass(frozen=True)
class _Similarity:
    """By row: the similarities by behaviour and by content, and the share of behaviour."""

    rows: Rows
    behaviour: Floats
    content: Floats
    share: Floats

    @property
    def total(self) -> Floats:
        total: Floats = self.share * self.behaviour + (1 - self.share) * self.content
        return total

    def explain(self, at: int) -> dict[str, Contribution]:
        """Return the explanation of the score at an index."""
        share, behaviour, content = (
            float(each[at]) for each in (self.share, self.behaviour, self.content)
        )
        return {
            "behaviour": Contribution(behaviour, share, behaviour * share),
            "content": Contribution(content, 1 - share, content * (1 - share)),
        }


class SimilarKBlocks:
    """Finds similar K-Blocks in the index and the profiles of a service; it keeps no state."""

    def __init__(
        self,
        catalogue: Catalogue,
        profiles: Profiles,
        readers: ReaderStore,
        ledger: SlateLedger,
    ) -> None:
        self._catalogue = catalogue
        self._profiles = profiles
        self._readers = readers
        self._ledger = ledger

    async def find(
        self, kblock_id: str, user_id: str = GUEST, limit: int = LIMIT, now: int | None = None
    ) -> SimilarItems:
        """Return the most similar K-Blocks, after their slate is committed.

        K-Blocks that the reader dismissed or muted are left out, and those that are hidden until a
        time after `now` (microseconds since 1970). Raises NotFound, InvalidInput or
        DatabaseUnavailable.
        """
        check_kept_identifier("kblock_id", kblock_id)
        check_identifier("user_id", user_id)
        if not 1 <= limit <= MOST_ITEMS:
            raise InvalidInput(Problem("limit", f"must be 1 to {MOST_ITEMS}"))
        number, content = await self._content(kblock_id)
        context = await self._readers.context(user_id)
        state = await self._profiles.fresh(GUEST)
        affinities = state.affinities
        index = await self._catalogue.fresh()
        await self._profiles.texts.fresh(index.revision)
        texts_of_all = self._profiles.texts.vectors
        words, revision = texts_of_all.weights(number), index.revision
        hidden = hidden_rows(index, context.hidden, context.muted, now)
        [place] = affinities.attributes.places([kblock_id], 1).tolist()
        near = texts_of_all.nearest(words, similarity.NEAR)
        rows = self._candidates(index, state, place, content, near, less(index.is_open, hidden))
        shown = await self._ledger.kblocks.of(index.number[rows].tolist())
        # A K-Block that was deleted meanwhile is not shown.
        there = [number in shown and shown[number].id != kblock_id
                 for number in index.number[rows].tolist()]  # fmt: skip
        rows = rows[np.array(there, np.bool_)]
        behaviour = similarity.by_behaviour(
            affinities, place, await self._profiles.places(state, index, rows)
        )
        others = [Content.of(shown[number]) for number in index.number[rows].tolist()]
        alike = _Similarity(
            rows,
            behaviour.cosines,
            similarity.by_content(
                index, content, others, texts_of_all.project(words, index.number[rows])
            ),
            behaviour.evidence / (behaviour.evidence + PRIOR),
        )
        items = _items(index, alike, shown, limit)
        found = SimilarItems(kblock_id, items, str(uuid7()))
        await self._ledger.enter(
            Slate(
                request_id=found.request_id, first_request_id=found.request_id, user_id=user_id,
                feed=SIMILAR_FEED, ranking=SIMILAR_FEED, settings={"kblock_id": kblock_id},
                revision=revision, position=0, items=[item.id for item in items],
            )
        )  # fmt: skip
        return found

    async def _content(self, kblock_id: str) -> tuple[int, Content]:
        """Return the number and the labels of a K-Block. Raises NotFound."""
        number = await self._ledger.number(kblock_id)
        shown = {} if number is None else await self._ledger.kblocks.of([number])
        if number is None or not shown:
            raise NotFound(f"there is no K-Block {kblock_id!r}")
        return number, Content.of(shown[number])

    def _candidates(
        self,
        index: Index,
        state: Features,
        place: int,
        content: Content,
        near: Rows,
        shown: Mask,
    ) -> Rows:
        """Return the rows that are compared; awaits nothing, so that the index stays the same."""
        co_engaged = similarity.co_engaged_rows(state.affinities, place)
        numbers = np.concatenate([self._profiles.numbers(state, co_engaged), near])
        rows = index.present(numbers)
        rows = rows[rows >= 0]
        labelled = similarity.sharing_labels(index, content, shown)
        return np.unique(np.concatenate([rows[shown[rows]], labelled]))


def _items(
    index: Index, alike: _Similarity, shown: Mapping[int, ShownKBlock], limit: int
) -> list[Item]:
    order = np.lexsort([-index.number[alike.rows], -alike.total])
    order = order[alike.total[order] > 0][:limit]
    return [
        Item(
            shown[int(index.number[alike.rows[at]])],
            attention_score=float(index.attention[alike.rows[at]]),
            score=float(alike.total[at]),
            position=position,
            explanation=alike.explain(at),
        )
        for position, at in enumerate(order.tolist())
    ]
