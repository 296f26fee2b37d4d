"""What a personal feed of a large catalogue looks at, beside what is new."""

from datetime import timedelta

import numpy as np
import pytest

from harken.domain.kblock import KBlock
from harken.services.features.names import NAMES
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.learning.collaborative import fit
from harken.services.learning.factor_candidates import fit_factors
from harken.services.learning.impressions import Event
from harken.services.learning.interaction_matrix import Interactions, Interest
from harken.services.learning.ranker import PASSED, VIEWED, Example, RankerSettings, train
from harken.services.personal.sources import most_candidates
from tests.contract.conftest import NOW
from tests.support.touches import touch

COUNT = 1_300
OLD = [f"k{n}" for n in range(1_000, 1_020)]
"""They came long ago, in the order of time, the first of them last."""


@pytest.fixture
async def feeds(session_factory, record, clock):
    service = FeedService(session_factory, record=record, clock=clock)
    for first in range(0, COUNT, 650):
        await service.kblocks.put(
            [
                KBlock.parse({"id": f"k{n}", "title": f"K {n}", "created_at": at(n)})
                for n in range(first, first + 650)
            ]
        )
    yield service
    await service.close()


@pytest.fixture(scope="module")
def trained():
    """A model; what it prefers makes no difference here."""
    generator, examples = np.random.default_rng(0), []
    for n in range(30):
        grades = np.full(10, PASSED, np.int8)
        grades[n % 10] = VIEWED
        matrix = generator.normal(size=(10, len(NAMES))).astype(np.float32)
        examples.append(Example(n, matrix, grades))
    return train(examples, RankerSettings(rounds=2, fewest=10, least_in_leaf=5))


def at(number):
    return NOW - timedelta(hours=number)


async def looked_at(feeds, user="ada", **request):
    """Return the ids of a reader's candidates: those of the order that the first page keeps."""
    page = await feeds.page(FeedRequest("personal", user_id=user, limit=1, **request))
    order = await feeds.ledger.order(page.request_id)
    shown = await feeds.ledger.kblocks.of(order.numbers.tolist())
    return {each.id for each in shown.values()}


async def act(feeds, *done):
    for user, kblock_id in done:
        await feeds.record.record_interaction(user, kblock_id, "view")


async def test_a_reader_of_whom_nothing_is_known_gets_the_newest(feeds):
    newest = {f"k{n}" for n in range(150)}
    assert await looked_at(feeds, "eve") == newest


async def test_old_kblocks_come_from_those_who_liked_the_same(feeds):
    await act(feeds, *[("ada", each) for each in OLD[:6]], *[("bob", each) for each in OLD[4:12]])
    found = await looked_at(feeds)
    assert set(OLD[:12]) <= found
    assert OLD[12] not in found
    await feeds.record.record_interaction("ada", OLD[11], "dismiss")
    assert OLD[11] not in await looked_at(feeds)
    assert len(found) <= most_candidates()


@pytest.mark.parametrize("ranking", ["personal", "learned"])
@pytest.mark.parametrize("method", ["factors", "neighbours"])
async def test_old_kblocks_come_from_what_belongs_to_the_model_in_service(
    feeds, ranking, method, trained
):
    """Nobody here read what ada read; the readers of the training did."""
    await act(feeds, *[("ada", each) for each in OLD[:6]])
    await feeds.record.record_interaction("sam", OLD[15], "dismiss")  # so it does not trend
    assert OLD[15] not in await looked_at(feeds, ranking=ranking)
    crowd = [touch(f"u{n}", each, n) for n in range(200) for each in OLD]
    others = [touch(f"v{n % 40}", f"k{n}", n) for n in range(1_000)]
    if method == "factors":
        found = fit_factors([Event(each) for each in crowd + others], seed=0)
    else:
        interests = (Interest(each.user_id, each.kblock_id) for each in crowd + others)
        found = fit(Interactions.from_interests(interests), method)
    await feeds.registry.models.add(trained, {}, {}, "1.0", promote=True, collaborative=found)
    assert OLD[15] in await looked_at(feeds, ranking=ranking)
    assert OLD[15] not in await looked_at(feeds, "guest", ranking=ranking)
