"""How good feeds are for simulated readers, by the truth that is known of them.

    relevance   mean interest of the first ten items: the probability that the reader would open
                each, if they looked at it
    ndcg@10     the discounted sum of interest, divided by that of the best ten K-Blocks that there
                are for this reader (Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR
                techniques, 2002); the gain is the interest itself

What a reader opened before is of little interest to them, so a feed gains nothing by repeating it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.database import Database
from harken.domain.exploration import Order
from harken.domain.slates import Slate
from harken.services.evaluation.intervals import Interval, bootstrap, interval
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.record.slates import SlateLedger
from harken.services.simulation.readers import SimulatedReader
from harken.services.simulation.simulator import SimulatedClock, Simulator

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

Floats = NDArray[np.float64]

SHOWN = 10
METRICS = ("relevance", "ndcg@10")
FEEDS: Mapping[str, tuple[str, str]] = {
    "chronological": ("cosmos", "chronological"),
    "trending": ("cosmos", "trending"),
    "personal": ("personal", "personal"),
}
"""What is measured: the feed and the ranking of each."""

LEARNED: Mapping[str, tuple[str, str]] = {"learned": ("personal", "learned")}
"""What is measured besides, where a model is in service."""


class Estimate(NamedTuple):
    """A mean over readers, with the interval that other readers might have given."""

    value: float
    interval: Interval


class Preview(FeedService):
    """Serves pages that no reader sees: they are left out of the ledger.

    There they would be taken for pages whose reader passed everything over.
    """

    def __init__(
        self,
        session_factory: "async_sessionmaker[AsyncSession]",
        service: FeedService,
        clock: SimulatedClock,
    ) -> None:
        """Show what `service` would serve, which has the same session factory and clock."""
        super().__init__(
            session_factory, record=service.record, kblocks=service.kblocks, clock=clock
        )
        self.ledger = _DiscardingLedger(Database(session_factory), clock)


class _DiscardingLedger(SlateLedger):
    async def enter(self, slate: Slate, order: Order | None = None) -> None:
        """Write nothing."""


async def measure(
    preview: Preview, player: Simulator, feeds: Mapping[str, tuple[str, str]] = FEEDS
) -> dict[str, Floats]:
    """Ask for each reader's first ten of each feed now; readers × `METRICS`, by the feed."""
    found: dict[str, list[list[float]]] = {name: [] for name in feeds}
    for reader in player.world.readers:
        truth = _truth(reader, player)
        # One that a reader dismisses just now is recorded, and hidden, when they leave.
        dismissed = player.reader_state.dismissed[reader.user_id]
        best = sorted((truth[each] for each in truth.keys() - dismissed), reverse=True)[:SHOWN]
        for name, (feed, ranking) in feeds.items():
            page = await preview.page(
                FeedRequest(feed, user_id=reader.user_id, ranking=ranking, limit=SHOWN)
            )
            found[name].append(gains([truth[item.id] for item in page.items], best))
    return {name: np.array(rows, np.float64) for name, rows in found.items()}


def gains(shown: Sequence[float], best: Sequence[float]) -> list[float]:
    """Return the `METRICS` of a page, by the interest of what it shows and of the best."""
    ideal = _discounted(best)
    return [float(np.mean(shown)) if shown else 0.0, _discounted(shown) / ideal if ideal else 0.0]


def estimate(values: Floats, seed: int = 0) -> dict[str, Estimate]:
    """Return the mean of each metric over readers, by the bootstrap.

    Of differences between two feeds, or two times, it is the paired interval.
    """
    drawn = bootstrap(values, np.ones(len(values)), seed=seed)
    means = values.mean(axis=0).tolist()
    return {name: Estimate(means[i], interval(drawn[:, i])) for i, name in enumerate(METRICS)}


def _truth(reader: SimulatedReader, player: Simulator) -> dict[str, float]:
    opened = player.reader_state.opened[reader.user_id]
    interests = reader.interests(player.published, player.now, opened)
    return dict(zip((kblock.id for kblock in player.published), interests.tolist(), strict=True))


def _discounted(values: Sequence[float]) -> float:
    return float(np.sum(np.array(values) / np.log2(2 + np.arange(len(values)))))
