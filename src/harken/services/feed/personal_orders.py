"""Personal orders: the scorer of a request, and the first items of the order."""

import logging
from collections.abc import Hashable, Mapping, Sequence, Set
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from harken.domain.exploration import Order
from harken.domain.feedback import GUEST
from harken.domain.feeds import RANKINGS, FeedFilter, FeedRanking
from harken.domain.objectives import known_objectives
from harken.domain.slates import Contribution, Reason, Reference
from harken.domain.times import micros
from harken.services.feed import pagination
from harken.services.feed.caches.kept_orders import Basis, KeptOrder, KeptOrders
from harken.services.feed.caches.profiles import Profiles
from harken.services.feed.explanations.reader_facts import ReaderFacts
from harken.services.feed.explanations.reasons import reasons
from harken.services.feed.explanations.score_parts import parts_of
from harken.services.feed.learned_ranking import FallbackScorer, LearnedScorer
from harken.services.feed.request import ResolvedRequest
from harken.services.index.exclusions import hidden_rows
from harken.services.index.index import Floats, Index, Rows
from harken.services.index.ordering import less
from harken.services.index.selection import latest_of_sources
from harken.services.learning.collaborative import Collaborative
from harken.services.learning.factor_candidates import sources_with
from harken.services.personal import ordering
from harken.services.personal.index_pool import IndexPool
from harken.services.personal.ordering import PersonalScorer
from harken.services.personal.stated_interests import by_label
from harken.services.record.readers import ReaderContext
from harken.services.record.slates import SlateLedger
from harken.services.registry.serving import LoadedModel, ModelsInService

log = logging.getLogger(__name__)

OF_ARM = {"model"}
LATEST = 1_000
"""So many of the latest slates tell whether personal or learned orders are asked for."""
_PERSONAL = {each.name for each in RANKINGS.values() if each.is_personal or each.is_learned}
"""What an arm says of its model; its objectives are those of the settings."""


class ScoredRows(NamedTuple):
    """Rows of a page with their scores, and where it is asked for, how these were made.

    `signals` contribute to it. `close_to` is what the reader liked, whose text is most similar.
    """

    scores: list[float]
    signals: list[dict[str, Contribution] | None]
    reasons: list[list[Reason] | None]
    close_to: list[Reference | None]

    @classmethod
    def nothing(cls, count: int) -> "ScoredRows":
        """Return room for so many rows."""
        return cls([0.0] * count, [None] * count, [None] * count, [None] * count)

    @classmethod
    def of_scores(cls, scores: Floats) -> "ScoredRows":
        """Return scores alone."""
        return cls.nothing(len(scores))._replace(scores=scores.tolist())

    @classmethod
    def of_signals(
        cls, signals: Sequence[dict[str, Contribution]], why: Sequence[list[Reason]],
        close_to: Sequence[Reference | None] = (),
    ) -> "ScoredRows":  # fmt: skip
        """Return the sums of what contributes to scores, with these parts and the reasons."""
        scores = [sum(part.contribution for part in each.values()) for each in signals]
        return cls(scores, [*signals], [*why], [*close_to] or [None] * len(scores))

    def put(self, at: Sequence[int], other: "ScoredRows") -> None:
        """Enter rows at some places."""
        for place, score, signals, why, close_to in zip(at, *other, strict=True):
            self.scores[place], self.signals[place] = score, signals
            self.reasons[place], self.close_to[place] = why, close_to


class PersonalOrders:
    """Makes the orders of `ranking=personal` and `ranking=learned`."""

    def __init__(
        self,
        profiles: Profiles,
        models: ModelsInService,
        ledger: SlateLedger,
        objectives: Mapping[str, float],
    ) -> None:
        """Use these; `objectives` are their weights in `ranking=learned`."""
        self._profiles = profiles
        self._models = models
        self._ledger = ledger
        self._objectives = known_objectives(objectives)
        self._said: str | None = None
        self._kept = KeptOrders()

    async def warm(self) -> None:
        """Load the model in service and the readers' histories, unless nobody asks for them.

        Without a model, histories are loaded if any of the latest slates was personal or learned.
        They take memory. Raises DatabaseUnavailable.
        """
        is_served = (await self._models.current()).model is not None
        if is_served:
            await self._models.collaborative()
        latest = await self._ledger.latest_rankings(LATEST)
        if is_served or not latest.isdisjoint(_PERSONAL):
            await self._profiles.warm()

    async def scorer_for(self, resolved: ResolvedRequest) -> PersonalScorer:
        """Return the scorer of a page; later pages use the model of the first page."""
        cursor, made_by = resolved.cursor, resolved.made_by
        if made_by is None and resolved.request.cursor is not None and resolved.ranking.is_learned:
            made_by = await self._ledger.settings(cursor.request_id) or {}
        return await self.scorer(
            resolved.ranking, cursor.user_id, resolved.context, resolved.reader.now, made_by
        )

    async def scorer(
        self, ranking: FeedRanking, user_id: str, context: ReaderContext, now: int,
        made_by: Mapping[str, Any] | None = None,
    ) -> PersonalScorer:  # fmt: skip
        """Return the scorer for a reader at a time (microseconds since 1970).

        `made_by` are the settings of the first page's slate on later pages, or the model of an arm.
        """
        scorer = await self._scorer(ranking, user_id, context, now, made_by)
        if context.personalized:
            scorer.stated = by_label(context.interests)
        return scorer

    async def _scorer(
        self, ranking: FeedRanking, user_id: str, context: ReaderContext, now: int,
        made_by: Mapping[str, Any] | None,
    ) -> PersonalScorer:  # fmt: skip
        user_id = user_id if context.personalized else GUEST
        served = await self._model(made_by) if ranking.is_learned else LoadedModel(None, None)
        state = await self._profiles.fresh(user_id, context.profile_since)
        if not ranking.is_learned:
            return PersonalScorer(state, user_id, now)
        if served.model_id is None or served.model is None:
            return FallbackScorer(state, user_id, now, served.reason)
        objectives = self._objectives
        if made_by is not None and made_by.keys() != OF_ARM:
            objectives = made_by.get("objectives") or {}
        self._say_missing(served.model_id, objectives.keys() - served.model.heads.keys())
        return LearnedScorer(state, user_id, now, served.model_id, served.model, objectives)

    def _say_missing(self, model_id: str, missing: Set[str]) -> None:
        """Log once for a model which weights of objectives have no effect with it."""
        if missing and model_id != self._said:
            self._said = model_id
            log.warning(
                "the model %s predicts no %s: too few to learn from; the weight has no effect",
                model_id,
                " or ".join(sorted(missing)),
            )

    async def _model(self, made_by: Mapping[str, Any] | None) -> LoadedModel:
        if made_by is None:
            return await self._models.current()
        return await self._models.named(made_by.get("model"))

    async def first(
        self, resolved: ResolvedRequest, index: Index, scorer: PersonalScorer
    ) -> tuple[Rows, Floats]:
        """Return the numbers of a feed's candidates, best first, and their scores."""
        collaborative = await self._collaborative(scorer)
        scorer.sources = sources_with(collaborative)
        # From here to the candidates nothing is awaited: a mask fits the index as it is now.
        hidden = hidden_rows(
            index,
            resolved.context.left_out,
            resolved.context.muted,
            micros(resolved.cursor.started_at),
        )
        selection, mask = pagination.selected(index, resolved.feed, resolved.cursor)
        key, basis = _key(resolved, scorer, selection), Basis.of(index, scorer.state, collaborative)
        # Other conditions than filters may depend on anything, and are others with each request.
        is_kept = all(isinstance(each, FeedFilter) for each in selection[1])
        if is_kept and (kept := self._kept.find(key, basis, scorer.now)) is not None:
            scorer.adopt(kept.scorer)
            return kept.numbers, kept.scores
        numbers = partial(self._profiles.numbers, scorer.state)
        rows = scorer.candidates(
            IndexPool(index, selection, mask, hidden, resolved.reader, numbers)
        )
        if (most := resolved.cursor.variety.most_per_source) is not None:
            of_sources = latest_of_sources(index, less(mask, hidden), most)
            rows = np.union1d(rows, of_sources[-pagination.FROZEN :])
        totals = scorer.totals(await self._profiles.places(scorer.state, index, rows))
        order = ordering.rank_rows(index, rows, totals)
        ranked = index.number[rows[order]], totals[order]
        # Labels were read meanwhile.
        if is_kept and basis.is_same(Basis.of(index, scorer.state, collaborative)):
            self._kept.keep(key, basis, KeptOrder(*ranked, scorer))
        return ranked

    async def _collaborative(self, scorer: PersonalScorer) -> Collaborative | None:
        """Return what belongs to the model that orders, or else to that in service."""
        if scorer.user_id == GUEST:
            return None
        return await self._models.collaborative(scorer.settings.get("model"))

    async def scored(
        self, scorer: PersonalScorer, index: Index, rows: Rows, order: Order, *, whole: bool
    ) -> ScoredRows:
        """Return rows of a page with their scores; with `whole`, also how these were made."""
        places = await self._profiles.places(scorer.state, index, rows)
        others = index.present(order.numbers)
        others = await self._profiles.places(scorer.state, index, others[others >= 0])
        if isinstance(scorer, LearnedScorer):  # it compares all candidates, on later pages too
            scorer.totals(others)
        if not whole:
            return ScoredRows.of_scores(scorer.totals(places))
        signals = scorer.explain(places)
        known = ReaderFacts(scorer)
        liked = scorer.closest_liked(places).tolist()
        own = index.number[rows].tolist()
        found = await self._titles([*liked, *own, known.latest_text])
        close_to = [found.get(each) for each in liked]
        titles = {number: each.title for number, each in found.items()}
        latest = titles.get(known.latest_text)
        facts = known.of(places, list(map(titles.get, own)), close_to, latest)
        parts = parts_of(scorer, places, np.unique(np.concatenate([others, places])))
        return ScoredRows.of_signals(signals, list(map(reasons, parts, facts)), close_to)

    async def _titles(self, numbers: Sequence[int]) -> dict[int, Reference]:
        found = await self._ledger.kblocks.of([*{number for number in numbers if number >= 0}])
        return {number: Reference(each.id, each.title) for number, each in found.items()}


def _key(resolved: ResolvedRequest, scorer: PersonalScorer, selection: Hashable) -> Hashable:
    """Return what tells the orders of one moment apart: for whom, of what, by which settings."""
    context = resolved.context
    return (
        scorer.user_id, type(scorer), repr(scorer.settings), scorer.fallback, selection,
        tuple(scorer.stated.items()), resolved.cursor.variety.most_per_source,
        context.left_out.tobytes(), tuple(context.muted.items()), context.profile_since,
        resolved.cursor.revision,
    )  # fmt: skip
