"""Measures feeds by the ground truth: the known interests of simulated readers.

    relevance   the mean interest of the first ten items: the probability that the reader would
                open an item if they looked at it
    ndcg@10     the discounted sum of interest, divided by that of the ten best K-Blocks for this
                reader (Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques,
                2002); the gain is the interest itself

A K-Block that a reader opened before is of little interest, so a feed gains little by repeating it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.database import Database
from harken.domain.exploration import Order
from harken.domain.slates import Exposure, Slate
from harken.services.evaluation.intervals import Interval, bootstrap, interval
from harken.services.evaluation.verdict import Outcome
from harken.services.feed.personal_orders import PersonalOrders
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.record.slates import SlateLedger
from harken.services.registry.serving import LoadedModel, ModelsInService
from harken.services.registry.store import ModelStore
from harken.services.simulation.readers import SimulatedReader
from harken.services.simulation.simulator import SimulatedClock, Simulator

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

Floats = NDArray[np.float64]

SHOWN = 10
METRICS = ("relevance", "ndcg@10")
DECIDING = "ndcg@10"
"""The metric by which two feeds are compared."""
FEEDS: Mapping[str, tuple[str, str]] = {
    "chronological": ("cosmos", "chronological"),
    "trending": ("cosmos", "trending"),
    "personal": ("personal", "personal"),
}
"""The feeds to measure: (feed, ranking) by name."""

LEARNED: Mapping[str, tuple[str, str]] = {"learned": ("personal", "learned")}
"""The feed to measure in addition, if a model was trained."""


class Estimate(NamedTuple):
    """A mean over readers with its 95 % interval."""

    value: float
    interval: Interval


class Preview(FeedService):
    """Serves pages that no reader sees, without writing their slates to the ledger.

    In the ledger they would look like pages whose readers passed every item over.
    """

    def __init__(
        self,
        session_factory: "async_sessionmaker[AsyncSession]",
        service: FeedService,
        clock: SimulatedClock,
    ) -> None:
        """Preview `service`, which must have the same session factory and clock."""
        super().__init__(
            session_factory, record=service.record, kblocks=service.kblocks, clock=clock
        )
        self.ledger = _DiscardingLedger(Database(session_factory), clock)

    def serve(self, model_id: str) -> None:
        """Use a model for `ranking=learned` from now on, even if it is not in service."""
        model = _OneModel(self.registry.models, model_id)
        self._orders = PersonalOrders(self.profiles, model, self.ledger, {})


class _OneModel(ModelsInService):
    """A model, whether or not it is in service."""

    def __init__(self, store: ModelStore, model_id: str) -> None:
        super().__init__(store)
        self._model_id = model_id

    async def current(self) -> LoadedModel:
        """Return the model."""
        return await self.named(self._model_id)


class _DiscardingLedger(SlateLedger):
    async def enter(
        self, slate: Slate, order: Order | None = None,
        exposure: Exposure | None = None, sample: Order | None = None,
    ) -> None:  # fmt: skip
        """Do nothing."""


async def measure(
    preview: Preview, player: Simulator, feeds: Mapping[str, tuple[str, str]] = FEEDS
) -> dict[str, Floats]:
    """Measure the first ten items of each feed for each reader: readers × `METRICS`, by feed."""
    found: dict[str, list[list[float]]] = {name: [] for name in feeds}
    for reader in player.world.readers:
        truth = _truth(reader, player)
        # Dismissals of visits in progress are not recorded yet, so they are taken from the state.
        dismissed = player.reader_state.dismissed[reader.user_id]
        best = sorted((truth[each] for each in truth.keys() - dismissed), reverse=True)[:SHOWN]
        for name, (feed, ranking) in feeds.items():
            page = await preview.page(
                FeedRequest(feed, user_id=reader.user_id, ranking=ranking, limit=SHOWN)
            )
            found[name].append(gains([truth[item.id] for item in page.items], best))
    return {name: np.array(rows, np.float64) for name, rows in found.items()}


def gains(shown: Sequence[float], best: Sequence[float]) -> list[float]:
    """Return the `METRICS` of a page, by the interests of its items and of the best items."""
    ideal = _discounted(best)
    return [float(np.mean(shown)) if shown else 0.0, _discounted(shown) / ideal if ideal else 0.0]


def estimate(values: Floats, seed: int = 0) -> dict[str, Estimate]:
    """Return the mean of each metric over readers, with a bootstrap interval.

    `values` has the shape readers × metrics. For differences of two feeds or two times, the
    interval is paired.
    """
    drawn = bootstrap(values, np.ones(len(values)), seed=seed)
    means = values.mean(axis=0).tolist()
    return {name: Estimate(means[i], interval(drawn[:, i])) for i, name in enumerate(METRICS)}


def outcome(differences: Floats) -> Outcome:
    """Return whether a feed is better than another, by `DECIDING`, or worse, or neither is known.

    `differences` has the shape readers × metrics. It is better if the whole 95 % interval of the
    mean lies above 0, and worse if it lies below 0.
    """
    low, high = estimate(differences)[DECIDING].interval
    if low > 0:
        return "better"
    return "worse" if high < 0 else "not_known"


def _truth(reader: SimulatedReader, player: Simulator) -> dict[str, float]:
    opened = player.reader_state.opened[reader.user_id]
    interests = reader.interests(player.published, player.now, opened)
    return dict(zip((kblock.id for kblock in player.published), interests.tolist(), strict=True))


def _discounted(values: Sequence[float]) -> float:
    return float(np.sum(np.array(values) / np.log2(2 + np.arange(len(values)))))
