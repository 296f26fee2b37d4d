"""The items of a page with their texts and scores, and the slate that records them.

An interleaved page has two rankings, one for each side; any other page has one.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

from harken.domain.declarations import declaration
from harken.domain.durations import write_duration
from harken.domain.exploration import Order, Variety, log_sum_exp
from harken.domain.feeds import Source, Weights
from harken.domain.slates import Contribution, Item, Reason, Slate, SwappedPair
from harken.domain.times import from_micros
from harken.services.experiments.interleaving import BOTH, SECOND
from harken.services.experiments.promotion.pair_swaps import logged_pairs, pairs_at
from harken.services.feed import pagination
from harken.services.feed.caches.catalogue import Catalogue
from harken.services.feed.explanations import phrases
from harken.services.feed.explanations.reasons import noted_as
from harken.services.feed.explanations.signal_reasons import reasons_by_function, reasons_by_signals
from harken.services.feed.personal_orders import PersonalOrders, ScoredRows
from harken.services.feed.request import ResolvedRequest
from harken.services.index.index import Floats, Index, Rows
from harken.services.index.ordering import Reader, explain, explain_by, shown_scores
from harken.services.index.view import computed_scores
from harken.services.personal.ordering import PersonalScorer
from harken.services.record.slates import SlateLedger


class PageRanking(NamedTuple):
    """A ranking of a page, and its scorer if it is a personal one."""

    resolved: ResolvedRequest
    scorer: PersonalScorer | None


class PageItems:
    """Makes the items of pages from an index."""

    def __init__(self, orders: PersonalOrders, ledger: SlateLedger, catalogue: Catalogue) -> None:
        self._orders = orders
        self._ledger = ledger
        self._catalogue = catalogue

    async def of(
        self, rankings: Sequence[PageRanking], index: Index, page: pagination.Page, order: Order
    ) -> list[Item]:
        """Return the items of a page; those that were deleted meanwhile are left out.

        Raises DatabaseUnavailable.
        """
        resolved = rankings[0].resolved
        numbers = index.number[page.rows].tolist()
        # The index may be refreshed from here on, so what it says is taken first.
        revision = self._catalogue.breaks, index.revision
        attention = index.attention[page.rows].tolist()
        scored = await self._scored(rankings, index, page, order)
        shown = await self._ledger.kblocks.of(numbers, revision) if numbers else {}
        contradicts: dict[str, list[str]] = {}
        if any(source.kind is Source.CONFLICTS for source in resolved.feed.sources):
            contradicts = await self._ledger.kblocks.conflicts([each.id for each in shown.values()])
        columns = zip(
            numbers, attention, scored.scores, scored.signals, scored.reasons, scored.close_to,
            *_chances(rankings, order, page), strict=True,
        )  # fmt: skip
        there = [each for each in columns if each[0] in shown]
        return [
            Item(
                kblock := shown[number], attention_score, score, resolved.cursor.position + place,
                contradicts.get(kblock.id), signals, _with_chance(why, likely, pair), close_to,
                likely, frozen_score, arm, pair,
            )
            for place, (number, attention_score, score, signals, why, close_to,
                        likely, frozen_score, arm, pair) in enumerate(there)
        ]  # fmt: skip

    async def _scored(
        self, rankings: Sequence[PageRanking], index: Index, page: pagination.Page, order: Order
    ) -> ScoredRows:
        """Return the rows of a page with their scores, each by the ranking that named it."""
        if len(rankings) == 1:
            return await self._scored_by(rankings[0], index, page.rows, order)
        sides = _sides(order, page)
        whole = ScoredRows.nothing(len(sides))
        for side, ranking in enumerate(rankings):
            at = np.flatnonzero(sides == side)
            whole.put(at.tolist(), await self._scored_by(ranking, index, page.rows[at], order))
        return whole

    async def _scored_by(
        self, ranking: PageRanking, index: Index, rows: Rows, order: Order
    ) -> ScoredRows:
        """Return rows with their scores, and with `explain`, what contributes to them, and why."""
        resolved, scorer = ranking
        is_whole = resolved.request.explain
        if scorer is not None:
            return await self._orders.scored(scorer, index, rows, order, whole=is_whole)
        if not is_whole:
            return ScoredRows.of_scores(_scores(resolved, index, rows))
        signals = _explain(resolved, index, rows)
        if resolved.reader.half_life is not None:
            await self._add_decayed_attention(resolved.reader, index.number[rows], signals)
        return ScoredRows.of_signals(signals, _reasons(resolved, index, rows, order))

    async def _add_decayed_attention(
        self, reader: Reader, numbers: Rows, explained: list[dict[str, Contribution]]
    ) -> None:
        listed = numbers.tolist()
        half_life = reader.half_life or timedelta()
        now = from_micros(reader.now)
        scores = await self._catalogue.decayed_attention(listed, half_life, now)
        for number, signals in zip(listed, explained, strict=True):
            signals["decayed_attention"] = Contribution(scores.get(number, 0.0), 0.0, 0.0)


def _sides(order: Order, page: pagination.Page) -> Rows:
    """Return the index of the ranking of each row; what both named is explained by the first."""
    sides = np.zeros(len(page.rows), np.int64)
    if order.sides is not None:
        sides[: len(page.places)] = order.sides[page.places] == SECOND
    return sides


def _chances(
    rankings: Sequence[PageRanking], order: Order, page: pagination.Page
) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """Return of each row its propensity, the score it was drawn by, its arm and its swapped pair.

    Each is None where chance had no part in it, as in the chronological rest after an order.
    """
    certain: list[Any] = [None] * len(page.rows)
    likely, scores, arms, pairs = certain, certain, certain, certain
    rest = certain[len(page.places) :]
    if page.propensities is not None:
        likely = page.propensities.tolist()
        if order.scores is not None:
            scores = [*order.scores[page.places].tolist(), *rest]
    if order.sides is not None:
        names = [ranking.resolved.arm for ranking in rankings]
        sides = order.sides[page.places].tolist()
        arms = [*(None if side == BOTH else names[side - 1] for side in sides), *rest]
    if order.pairs is not None:
        pairs = [*pairs_at(order.pairs, page.places), *rest]
    return likely, scores, arms, pairs


def _scores(resolved: ResolvedRequest, index: Index, rows: Rows) -> Floats:
    if resolved.ranking.score is not None:
        return computed_scores(index, resolved.ranking.score)[rows]
    return shown_scores(index, resolved.cursor.weights or pagination.BY_TIME, resolved.reader, rows)


def _explain(resolved: ResolvedRequest, index: Index, rows: Rows) -> list[dict[str, Contribution]]:
    if resolved.ranking.score is not None:
        return explain_by(index, resolved.ranking.score, rows)
    return explain(index, resolved.cursor.weights or pagination.BY_TIME, resolved.reader, rows)


def _reasons(
    resolved: ResolvedRequest, index: Index, rows: Rows, order: Order
) -> list[list[Reason]]:
    if not len(rows):  # an empty page has nothing to compare
        return []
    if resolved.ranking.is_chronological:
        return [[noted_as(phrases.NEWEST_FIRST)] for _ in rows]
    candidates = _candidates(index, rows, order)
    reader, score = resolved.reader, resolved.ranking.score
    if score is not None:
        return reasons_by_function(index, score, reader, rows, candidates)
    return reasons_by_signals(index, resolved.cursor.weights, reader, rows, candidates)


def _candidates(index: Index, rows: Rows, order: Order) -> Rows:
    """Return the rows that reasons compare: those of the order that pages follow, and a page's."""
    others = index.present(order.numbers)
    return np.unique(np.concatenate([others[others >= 0], rows]))


def _with_chance(
    why: list[Reason] | None, likely: float | None, pair: SwappedPair | None
) -> list[Reason] | None:
    """Return the reasons for a place, with what chance had to do with it."""
    if why is None:
        return None
    if pair is not None:
        return [*why, noted_as(phrases.of_coin())]
    return why if likely is None or likely >= 1 else [*why, noted_as(phrases.of_chance(likely))]


def slate_settings(
    weights: Weights, variety: Variety, half_life: timedelta | None, scorer: PersonalScorer | None
) -> dict[str, Any]:
    """Return the settings that a slate keeps: how its order was made."""
    decaying = {} if half_life is None else {"half_life": write_duration(half_life)}
    made_by = {} if scorer is None else scorer.settings
    return {"weights": dict(weights)} | variety.settings() | decaying | made_by


def slate_of(
    resolved: ResolvedRequest, request_id: str, items: list[Item], rankings: Sequence[PageRanking],
    order: Order,
) -> Slate:  # fmt: skip
    """Return the slate of a page's items, for the ledger."""
    cursor = resolved.cursor
    scorer = None if resolved.sides else rankings[0].scorer
    settings = slate_settings(cursor.weights, cursor.variety, resolved.reader.half_life, scorer)
    propensities = [item.propensity for item in items if item.propensity is not None]
    is_drawn = cursor.variety.is_sampled or order.pairs is not None
    if cursor.max_loss is not None:
        settings["max_loss"] = cursor.max_loss
    if cursor.base_feed is not None:
        settings["base_feed"] = cursor.base_feed
    if resolved.feed.stored and resolved.request.cursor is None:
        # The stored feed may change before the next page, which still uses this declaration.
        settings["declaration"] = declaration(resolved.feed)
    settings |= _of_experiment(resolved, items, rankings)
    if order.pairs is not None:
        settings["pairs"] = logged_pairs([item.pair for item in items])
    return Slate(
        request_id=request_id,
        first_request_id=cursor.request_id,
        user_id=cursor.user_id,
        feed=cursor.feed,
        ranking=cursor.ranking,
        settings=settings,
        revision=cursor.revision,
        position=cursor.position,
        items=[item.id for item in items],
        propensities=propensities if is_drawn else None,
        session_id=resolved.request.session_id or _session(resolved),
        trial=cursor.trial,
        scores=None if resolved.goes_by_time else [_score(item) for item in items],
        log_sum_exp=_normaliser(cursor.variety, order),
    )


def _session(resolved: ResolvedRequest) -> str | None:
    trial = resolved.cursor.trial
    return None if trial is None else trial.guest_session or None


def _score(item: Item) -> float:
    return item.score if item.frozen_score is None else item.frozen_score


def _normaliser(variety: Variety, order: Order) -> float | None:
    if not variety.temperature or order.scores is None or not len(order.scores):
        return None
    return log_sum_exp(order.scores, variety.temperature)


def _of_experiment(
    resolved: ResolvedRequest, items: list[Item], rankings: Sequence[PageRanking]
) -> dict[str, Any]:
    """Return what the slate notes of an experiment: a tester; whose each item is; both sides."""
    noted: dict[str, Any] = {}
    trial = resolved.cursor.trial
    if trial is not None and trial.is_forced:
        noted["is_forced"] = True
    if resolved.sides:
        noted["arms"] = [item.arm for item in items]
        noted["sides"] = [_side(ranking) for ranking in rankings]
        if resolved.draft_seed is not None:
            noted["draft_seed"] = resolved.draft_seed
    return noted


def _side(ranking: PageRanking) -> dict[str, Any]:
    """Return what later pages need of a side of an interleaved page."""
    cursor = ranking.resolved.cursor
    made_by = {} if ranking.scorer is None else ranking.scorer.settings
    return {
        "arm": ranking.resolved.arm, "ranking": cursor.ranking, "weights": dict(cursor.weights),
        "half_life": cursor.half_life, **made_by,
    }  # fmt: skip


def brought_to(rankings: Sequence[PageRanking], resolved: ResolvedRequest) -> list[PageRanking]:
    """Return rankings with their requests as of the revision that a whole request is of."""
    pairs = zip(rankings, resolved.rankings, strict=True)
    return [ranking._replace(resolved=each) for ranking, each in pairs]
