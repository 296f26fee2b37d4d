"""What readers prefer: it holds at the next request, in every process."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harken.domain.preferences import MOST_MUTED, Preferences
from harken.errors import InvalidInput
from harken.services.feed import pagination
from harken.services.feed.request import FeedRequest
from tests.contract.conftest import NOW
from tests.contract.test_feed_service import ids, kblock, put, service

__all__ = ["service"]


async def prefer(service, user_id: str = "ada", **fields: Any) -> None:
    await service.readers.prefer(user_id, Preferences.parse(fields))


async def some(service) -> None:
    await service.kblocks.put(
        [
            kblock("a", created_at=NOW, tags=["loud", "x"], author="mira"),
            kblock("b", created_at=NOW - timedelta(days=1), tags=["x"], author="loud"),
            kblock("c", created_at=NOW - timedelta(days=2)),
            kblock("d", created_at=NOW - timedelta(days=3), tags=["loud"]),
            kblock("e", created_at=NOW - timedelta(days=4), author="mira"),
        ]
    )


async def test_what_is_muted_is_hidden_from_its_reader_at_once_everywhere(service, other_process):
    await some(service)
    assert await ids(other_process, user_id="ada") == ["a", "b", "c", "d", "e"]
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"muted_tags": ["loud"]}, ["b", "c", "e"]),
        ({"muted_authors": ["mira"]}, ["b", "c", "d"]),
        ({"muted_tags": ["loud", "nothing"], "muted_authors": ["loud", "nobody"]}, ["c", "e"]),
        ({}, ["a", "b", "c", "d", "e"]),
    ]
    for muted, left in cases:
        await prefer(service, **muted)
        for feeds in (service, other_process):
            for ranking in ("chronological", "weighted", "attention"):
                page = await feeds.page(FeedRequest("cosmos", user_id="ada", ranking=ranking))
                assert ([item.id for item in page.items], page.total) == (left, len(left))
            assert len(await ids(feeds, user_id="bob")) == len(await ids(feeds)) == 5


async def test_rank_leaves_out_what_is_muted(service):
    await some(service)
    await prefer(service, muted_tags=["loud"], muted_authors=["mira"])
    await service.record.record_interaction("ada", "b", "dismiss")
    for ranking in ("chronological", "weighted"):
        ranked = await service.rank(["a", "b", "c", "d", "e", "zz"], "ada", ranking)
        assert ranked.kblock_ids == ["c", "zz"]
        assert (ranked.dismissed, sorted(ranked.muted)) == (["b"], ["a", "d", "e"])
        assert ranked.unknown == ["zz"]


@pytest.mark.parametrize("frozen", [2, 1_000], ids=["mostly by time", "all by score"])
@pytest.mark.parametrize("ranking", ["chronological", "weighted"])
async def test_what_is_muted_between_pages_is_passed_over(service, frozen, ranking, monkeypatch):
    monkeypatch.setattr(pagination, "FROZEN", frozen)
    await some(service)
    first = await service.page(
        FeedRequest("cosmos", user_id="ada", ranking=ranking, weights=None, limit=1)
    )
    assert [item.id for item in first.items] == ["a"]
    await prefer(service, muted_tags=["loud"])
    second = await service.page(FeedRequest("cosmos", cursor=first.next_cursor, limit=1))
    assert ([item.id for item in second.items], second.total) == (["b"], 3)
    await prefer(service)
    assert await ids(service, cursor=second.next_cursor) == ["c", "d", "e"]
    await prefer(service, muted_authors=["mira"])
    assert await ids(service, cursor=second.next_cursor) == ["c", "d"]


@pytest.mark.parametrize("ranking", ["chronological", "weighted"])
async def test_the_labels_of_now_count(service, ranking):
    """Also for pages that go on from before a K-Block got or lost the label."""
    await some(service)
    await prefer(service, muted_tags=["loud"])
    page = await service.page(FeedRequest("cosmos", user_id="ada", ranking=ranking, limit=1))
    assert [item.id for item in page.items] == ["b"]
    await service.kblocks.put([kblock("e", tags=["loud"])])
    assert await ids(service, cursor=page.next_cursor) == ["c"]
    await service.kblocks.put([kblock("e")])
    assert await ids(service, cursor=page.next_cursor) == ["c", "e"]


async def test_weights_that_a_reader_prefers(service):
    await put(service)
    await service.record.record_interaction("bob", "k4", "engage")
    await prefer(service, weights={"attention": 0, "recency": 1})
    assert (await ids(service, user_id="ada", ranking="weighted"))[0] == "k0"
    assert (await ids(service, user_id="bob", ranking="weighted"))[0] == "k4"
    page = await service.page(FeedRequest("cosmos", user_id="ada", ranking="weighted", limit=1))
    slate = await service.ledger.slate(page.request_id)
    assert slate["settings"]["weights"] == {
        "attention": 0.0, "principles": 0.3, "recency": 1.0, "coherence": 0.1
    }  # fmt: skip
    # A cursor goes on with what the first page had; a request's own weights go first.
    await prefer(service)
    assert await ids(service, cursor=page.next_cursor) == ["k1", "k2", "k3", "k4"]
    await prefer(service, weights={"attention": 0})
    given: dict[str, Any] = {"ranking": "weighted", "weights": {"recency": 0.0}}
    assert (await ids(service, user_id="ada", **given))[0] == "k4"
    ranked = await service.rank(["k4", "k0"], "ada")
    assert ranked.kblock_ids == ["k0", "k4"]
    assert ranked.explained[0]["attention"].weight == 0


async def test_none_of_what_a_reader_says_clears_the_rest(service, other_process):
    await service.readers.declare("ada", ["humane"])
    began = await service.readers.context("ada")
    assert (began.personalized, began.profile_since, began.muted_tags) == (True, None, ())
    await prefer(service, personalized=False, weights={"recency": 2}, muted_tags=["x", "x", "é"])
    before = datetime.now(UTC) - timedelta(minutes=1)
    await service.readers.reset_profile("ada")
    await other_process.readers.declare("ada", ["frugal"])
    context = await other_process.readers.context("ada")
    assert (context.principles, context.personalized) == (("frugal",), False)
    assert (context.weights, context.muted_tags) == ({"recency": 2.0}, ("x", "é"))
    assert before < context.profile_since < datetime.now(UTC) + timedelta(minutes=1)
    await prefer(service)  # all of it is replaced
    context = await service.readers.context("ada")
    assert (context.principles, context.personalized, context.weights) == (("frugal",), True, {})
    assert context.profile_since is not None
    # Who is known by one of them only has the rest as everybody.
    await service.readers.reset_profile("bob")
    context = await service.readers.context("bob")
    assert (context.principles, context.personalized, context.muted) == (
        (), True, {"tag": (), "author": (), "source": ()},
    )  # fmt: skip
    assert await service.readers.preferences("nobody") == Preferences()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"muted_tags": [""]}, r"muted_tags\.0: String should have at least 1 character"),
        ({"muted_tags": ["x" * 65]}, r"muted_tags\.0: String should have at most 64"),
        ({"muted_authors": ["\x00"]}, r"muted_authors\.0: must not contain"),
        ({"muted_tags": [str(i) for i in range(MOST_MUTED + 1)]}, "at most 200 items"),
        ({"muted_tags": "x"}, "muted_tags: must be a list"),
        ({"personalized": "no"}, "personalized: Input should be a valid boolean"),
        ({"weights": {"beauty": 1}}, "'beauty' is unknown; known are attention"),
        ({"weights": {"recency": float("nan")}}, r"weights\.recency: must be a number from"),
        ({"weights": {"recency": "1"}}, r"weights\.recency: Input should be a valid number"),
        ({"mutedtags": []}, "mutedtags: is not a known field; known are personalized, weights"),
    ],
)
def test_what_cannot_be_preferred(fields, message):
    with pytest.raises(InvalidInput, match=message):
        Preferences.parse(fields)


async def test_a_guest_prefers_nothing(service):
    for refused in (
        prefer(service, "guest"), service.readers.reset_profile("guest"),
        service.readers.declare("guest", ["p"]),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match="id: guest stands for all unknown"):
            await refused
