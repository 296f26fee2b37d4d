"""Orders that are a reader's own: whose taste they go by, and what comes first."""

from collections.abc import Mapping
from typing import Any

from harken.domain.declarations import micros
from harken.domain.exploration import Order
from harken.domain.feedback import GUEST
from harken.domain.feeds import FeedRanking
from harken.domain.slates import Contribution
from harken.services.feed import pagination
from harken.services.feed.learned_ranking import FallbackScorer, LearnedScorer
from harken.services.feed.profiles import Profiles
from harken.services.feed.request import ResolvedRequest
from harken.services.index.exclusions import hidden_rows
from harken.services.index.index import Floats, Index, Rows
from harken.services.personal import ordering
from harken.services.personal.ordering import PersonalScorer
from harken.services.record.readers import ReaderContext
from harken.services.record.slates import SlateLedger
from harken.services.registry.serving import LoadedModel, ModelsInService


class PersonalOrders:
    """Makes the orders of `ranking=personal` and `ranking=learned`."""

    def __init__(self, profiles: Profiles, models: ModelsInService, ledger: SlateLedger) -> None:
        self._profiles = profiles
        self._models = models
        self._ledger = ledger

    async def warm(self) -> None:
        """Read the model in service and what readers did, if there is one."""
        if (await self._models.current()).model is not None:
            await self._profiles.fresh(GUEST)

    async def scorer_for(self, resolved: ResolvedRequest) -> PersonalScorer:
        """Return the taste that a page goes by; a later page goes by what its first one went by."""
        cursor, made_by = resolved.cursor, None
        if resolved.request.cursor is not None and resolved.ranking.is_learned:
            made_by = await self._ledger.settings(cursor.request_id) or {}
        return await self.scorer(
            resolved.ranking, cursor.user_id, resolved.context, resolved.reader.now, made_by
        )

    async def scorer(
        self, ranking: FeedRanking, user_id: str, context: ReaderContext, now: int,
        made_by: Mapping[str, Any] | None = None,
    ) -> PersonalScorer:  # fmt: skip
        """Return a reader's taste as of a time (microseconds since 1970).

        `made_by` are the settings of a slate that this goes on from.
        """
        user_id = user_id if context.personalized else GUEST
        served = await self._model(made_by) if ranking.is_learned else LoadedModel(None, None)
        state = await self._profiles.fresh(user_id, context.profile_since)
        if not ranking.is_learned:
            return PersonalScorer(state, user_id, now)
        if served.model_id is None or served.model is None:
            return FallbackScorer(state, user_id, now, served.reason)
        return LearnedScorer(state, user_id, now, served.model_id, served.model)

    async def _model(self, made_by: Mapping[str, Any] | None) -> LoadedModel:
        if made_by is None:
            return await self._models.current()
        return await self._models.named(made_by.get("model"))

    async def first(
        self, resolved: ResolvedRequest, index: Index, scorer: PersonalScorer
    ) -> tuple[Rows, Floats]:
        """Return the numbers of a feed's first K-Blocks, the best first, and their scores."""
        hidden = hidden_rows(
            index,
            resolved.context.hidden,
            resolved.context.muted,
            micros(resolved.cursor.started_at),
        )
        selection, mask = pagination.selected(index, resolved.feed, resolved.cursor)
        company = self._profiles.numbers(scorer.state, scorer.company())
        rows = ordering.retrieve(index, selection, mask, hidden, resolved.reader, scorer, company)
        totals = scorer.totals(await self._profiles.places(scorer.state, index, rows))
        order = ordering.rank_rows(index, rows, totals)
        return index.number[rows[order]], totals[order]

    async def explain(
        self, scorer: PersonalScorer, index: Index, rows: Rows, order: Order, *, whole: bool
    ) -> list[dict[str, Contribution]]:
        """Return what makes the scores of rows that are served, which are part of an order."""
        places = await self._profiles.places(scorer.state, index, rows)
        if isinstance(scorer, LearnedScorer):  # which compares all of it, on later pages too
            others = index.present(order.numbers)
            scorer.totals(await self._profiles.places(scorer.state, index, others[others >= 0]))
        return scorer.explain(places, whole=whole)
