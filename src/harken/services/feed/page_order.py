"""The order that the pages of a request follow, and the page that is cut from it.

It is of one ranking, or of two in an interleaving.
"""

import dataclasses
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harken.domain.exploration import SEED_BITS, Floats, Order
from harken.domain.feedback import GUEST
from harken.domain.slates import FeedPage, Item
from harken.domain.times import micros
from harken.errors import CursorExpired
from harken.services.experiments.interleaving import team_draft
from harken.services.experiments.promotion.pair_swaps import Pages, swapped
from harken.services.feed import pagination
from harken.services.feed.page_items import PageRanking
from harken.services.feed.personal_orders import PersonalOrders
from harken.services.feed.request import ResolvedRequest
from harken.services.index.diversity import Labels, arrange
from harken.services.index.exclusions import hidden_rows
from harken.services.index.index import Index, Mask, Rows
from harken.services.personal.impressions import Impressions
from harken.services.personal.ordering import PersonalScorer
from harken.services.record.slates import SlateLedger


@dataclass(frozen=True)
class OrderedRequest:
    """A request, the rankings of its page, and the order that its pages follow.

    is_sample: whether the ledger keeps the order with its scores.
    """

    resolved: ResolvedRequest
    rankings: list[PageRanking]
    index: Index
    order: Order
    is_sample: bool = False

    @property
    def scorer(self) -> PersonalScorer | None:
        """The scorer of a page that is not interleaved; None if its ranking is not personal."""
        return None if self.resolved.sides else self.rankings[0].scorer


class PageOrders:
    """Makes the order of a first page, and reads it again for later pages."""

    def __init__(
        self, orders: PersonalOrders, ledger: SlateLedger, impressions: Impressions,
        swap_share: float = 0.0,
    ) -> None:  # fmt: skip
        """Use these; `swap_share` is the share of personal orders whose pairs are swapped."""
        self._swap_share = swap_share
        self._orders = orders
        self._ledger = ledger
        self._impressions = impressions

    async def kept(self, resolved: ResolvedRequest) -> Order:
        """Return the order that the first page kept; an empty one where none is needed.

        Raises CursorExpired or DatabaseUnavailable.
        """
        cursor = resolved.cursor
        if resolved.request.cursor is None or resolved.goes_by_time:
            return Order(pagination.NOTHING)
        kept = await self._ledger.order(cursor.request_id, is_sampled=cursor.variety.is_sampled)
        if kept is None:
            raise CursorExpired
        return kept

    async def first(
        self, rankings: Sequence[PageRanking], resolved: ResolvedRequest, index: Index, *,
        with_scores: bool,
    ) -> Order:  # fmt: skip
        """Return the order of a first page and the pages after it.

        While labels are read for caps, the index may be refreshed. So the first page is taken from
        the order in the same way as later pages are. `with_scores` asks for scores that only the
        ledger needs. Raises DatabaseUnavailable.
        """
        if resolved.goes_by_time:
            return Order(pagination.NOTHING)
        ranked = [await self._ranked(each, index, with_scores=with_scores) for each in rankings]
        numbers, scores = ranked[0]
        if len(ranked) == 1:
            order = await self._arranged(resolved, index, numbers, scores)
            return self._swapped(resolved, order) if self._swap_share else order
        seed = resolved.draft_seed or 0
        draft = team_draft(numbers, ranked[1][0], seed, pagination.FROZEN)
        none = np.zeros(len(draft.numbers))
        order = await self._arranged(resolved, index, draft.numbers, none)
        return order._replace(scores=None, sides=draft.sides_of(order.numbers))

    def _swapped(self, resolved: ResolvedRequest, order: Order) -> Order:
        """Return an order with swapped pairs, if chance and the request will have it so."""
        if not may_swap(resolved) or secrets.randbelow(10**6) >= self._swap_share * 10**6:
            return order
        pages = Pages(resolved.request.limit, resolved.request.offset, order.windows)
        return swapped(order, pages, secrets.randbits(SEED_BITS))

    async def _ranked(
        self, ranking: PageRanking, index: Index, *, with_scores: bool
    ) -> tuple[Rows, Floats]:
        """Return the numbers of one ranking's first items, best first, and their scores."""
        resolved, scorer = ranking
        if scorer is not None:
            return await self._orders.first(resolved, index, scorer)
        return pagination.freeze(
            index, resolved.ranking, resolved.reader, resolved.feed, resolved.cursor,
            hidden_from(resolved, index), with_scores=with_scores,
        )  # fmt: skip

    async def _arranged(
        self, resolved: ResolvedRequest, index: Index, numbers: Rows, scores: Floats
    ) -> Order:
        """Return the order in which ranked items are served: sampled, and with caps."""
        variety, offset = resolved.cursor.variety, resolved.request.offset
        if variety.explore is not None:
            shown = await self._impressions.of_rows(index, numbers)
            return arrange(numbers, scores, variety, {}, offset, shown)
        kept = await self._ledger.labels(numbers.tolist()) if variety.is_capped else {}
        labels = {number: Labels(*each) for number, each in kept.items()}
        weights = resolved.context.source_weights
        return arrange(numbers, scores, variety, labels, offset, weights=weights)


def may_swap(resolved: ResolvedRequest) -> bool:
    """Tell whether pairs of an order may be swapped.

    It is a personal order of a named reader, the request does not say how it is ordered, no
    experiment is measured by it, and chance has no other part in it.
    """
    cursor = resolved.cursor
    return (
        resolved.ranking.is_personal
        and resolved.context.personalized
        and cursor.user_id != GUEST
        and cursor.trial is None
        and not cursor.variety.is_sampled
        and not resolved.request.names_ranking
    )


def hidden_from(resolved: ResolvedRequest, index: Index) -> Mask | None:
    """Return the mask of the rows that are hidden from the reader, as of the first page's time."""
    context = resolved.context
    return hidden_rows(index, context.left_out, context.muted, micros(resolved.cursor.started_at))


def take(resolved: ResolvedRequest, index: Index, order: Order) -> pagination.Page:
    """Return the page of an order; awaits nothing, so that the index stays the same."""
    request, cursor = resolved.request, resolved.cursor
    hidden = hidden_from(resolved, index)
    mask = pagination.in_feed(index, resolved.feed, cursor, hidden)
    skip = request.offset if request.cursor is None else 0
    return pagination.take(index, mask, order, hidden, cursor, request.limit, skip)


def answer(
    ordered: OrderedRequest, page: pagination.Page, items: list[Item], request_id: str,
    codec: pagination.CursorCodec,
) -> FeedPage:  # fmt: skip
    """Return a page with its items, and the cursor of the next one."""
    resolved, scorer = ordered.resolved, ordered.scorer
    candidates = None
    if resolved.request.explain and len(ordered.order.numbers):
        candidates = max(len(ordered.order.numbers), len(items))
    after = dataclasses.replace(
        resolved.cursor,
        position=resolved.cursor.position + len(page.rows),
        ordered=page.ordered,
        after=page.after,
    )
    return FeedPage(
        items=items,
        total=page.total,
        has_more=page.has_more,
        offset=resolved.cursor.position,
        limit=resolved.request.limit,
        next_cursor=codec.encode(after) if page.has_more else None,
        request_id=request_id,
        personalization=None if scorer is None else scorer.reason(),
        model=None if scorer is None else scorer.settings.get("model"),
        fallback=None if scorer is None else scorer.fallback,
        trial=resolved.cursor.trial,
        candidates=candidates,
    )
