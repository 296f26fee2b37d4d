"""The personal feed: what a reader does changes what that reader sees, and they stay in charge."""

from datetime import timedelta

import pytest

from harken.domain.feeds import DEFAULT_FEEDS
from harken.domain.kblock import KBlock
from harken.domain.preferences import Preferences
from harken.errors import InvalidInput
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.readers.affinities import AffinitySettings
from tests.conftest import session_factory_for
from tests.contract.conftest import NOW

HOUR = timedelta(hours=1)
TOPICS = ("git", "bread")


@pytest.fixture
async def feeds(session_factory, record, clock):
    service = FeedService(session_factory, record=record, clock=clock)
    await service.kblocks.put(
        [
            KBlock.parse(
                {
                    "id": f"{topic}{number}",
                    "title": f"{topic} {number}",
                    "tags": [topic],
                    "author": f"{topic} writer",
                    "content": "word " * 200,
                    "created_at": NOW - number * HOUR,
                }
            )
            for number in range(20)
            for topic in TOPICS
        ]
    )
    yield service
    await service.close()


async def ids(feeds, user_id: str, feed: str = "personal", **request) -> list[str]:
    page = await feeds.page(FeedRequest(feed, user_id=user_id, limit=100, **request))
    return [item.id for item in page.items]


async def like(feeds, clock, user_id: str, topic: str, count: int = 6) -> None:
    """Engage with one topic and dismiss the other, as time goes by."""
    other = next(each for each in TOPICS if each != topic)
    for number in range(10, 10 + count):
        clock.now += timedelta(minutes=5)
        await feeds.record.record_interaction(user_id, f"{topic}{number}", "engage", None, "like")
        await feeds.record.record_interaction(user_id, f"{other}{number}", "dismiss")


def share(found: list[str], topic: str, first: int = 10) -> float:
    return sum(each.startswith(topic) for each in found[:first]) / first


@pytest.mark.parametrize("layer", ["²", "--5", "-1", "9" * 64, "x"])
async def test_an_interest_in_no_layer_changes_nothing(feeds, layer):
    await feeds.readers.prefer("ada", Preferences(interests={"layers": {layer: 1.0}}))
    assert (await feeds.page(FeedRequest("personal", "ada"))).items is not None
    assert await feeds.profile("ada")
    assert await feeds.rank(["k0"], "ada", "personal")


async def test_two_readers_with_opposite_tastes_diverge_and_a_reset_takes_it_back(feeds, clock):
    start = await ids(feeds, "ada")
    assert start == await ids(feeds, "bob")
    await like(feeds, clock, "ada", "git")
    await like(feeds, clock, "bob", "bread")
    assert share(await ids(feeds, "ada"), "git") == 1
    assert share(await ids(feeds, "bob"), "bread") == 1
    for reader in ("ada", "bob"):
        clock.now += HOUR
        await feeds.readers.reset_profile(reader)
        for kblock_id, _ in await feeds.readers.dismissals(reader):
            await feeds.readers.undo_dismissal(reader, kblock_id)
        assert await ids(feeds, reader) == await ids(feeds, "somebody new")
        page = await feeds.page(FeedRequest("personal", user_id=reader))
        assert page.personalization is not None
        assert "0 interactions are known" in page.personalization


async def test_a_few_interactions_are_not_enough(feeds, clock):
    await like(feeds, clock, "ada", "git", count=2)  # four interactions
    before = await feeds.page(FeedRequest("personal", user_id="ada", explain=True))
    assert "5 are needed" in (before.personalization or "")
    assert set(before.items[0].explanation or ()) <= {"recent_activity", "freshness"}
    await feeds.record.record_interaction("ada", "git19", "view")
    after = await feeds.page(FeedRequest("personal", user_id="ada", explain=True))
    assert after.personalization == "made from your last 5 interactions"
    assert "tags" in (after.items[0].explanation or ())


async def test_every_score_is_the_sum_of_what_is_explained(feeds, clock):
    await like(feeds, clock, "ada", "git")
    page = await feeds.page(FeedRequest("personal", user_id="ada", explain=True, limit=100))
    for item in page.items:
        parts = (item.explanation or {}).values()
        assert item.score == pytest.approx(sum(part.contribution for part in parts))
        assert all(p.contribution == pytest.approx(p.value * p.weight) for p in parts)
    scores = [item.score for item in page.items]
    assert scores == sorted(scores, reverse=True)


async def test_personalisation_can_be_switched_off_and_on(feeds, clock):
    await like(feeds, clock, "ada", "git")
    own = await ids(feeds, "ada")
    await feeds.readers.prefer("ada", Preferences(personalized=False))
    hidden = {each for each, _ in await feeds.readers.dismissals("ada")}
    crowd = [each for each in await ids(feeds, "guest") if each not in hidden]
    assert await ids(feeds, "ada") == crowd != own
    page = await feeds.page(FeedRequest("personal", user_id="ada"))
    assert "personalisation is switched off" in (page.personalization or "")
    await feeds.readers.prefer("ada", Preferences())
    assert await ids(feeds, "ada") == own


async def test_what_was_seen_sinks_by_as_much_as_is_set(session_factory, record, clock, feeds):
    for number in range(6):
        await feeds.record.record_interaction("ada", f"git{number}", "view", 60_000)
    seen = {f"git{number}" for number in range(6)}
    assert not seen & set((await ids(feeds, "ada"))[:6])
    settings = AffinitySettings(weights={"already_seen": -50.0})
    other = FeedService(session_factory, record=record, clock=clock, affinities=settings)
    assert set((await ids(other, "ada"))[:6]) == seen


async def test_a_personal_feed_can_be_made_over_any_feed(feeds, clock):
    await feeds.feeds.put("gits", {"sources": [{"kind": "tag", "value": "git"}]})
    await like(feeds, clock, "ada", "bread")
    for base in (*DEFAULT_FEEDS, "gits"):
        if base != "personal":
            theirs = await ids(feeds, "ada", base_feed=base)
            assert sorted(theirs) == sorted(await ids(feeds, "ada", feed=base))
            assert theirs == await ids(feeds, "ada", feed=base, ranking="personal")
    page = await feeds.page(FeedRequest("personal", user_id="ada", base_feed="gits", limit=7))
    await feeds.feeds.delete("gits")
    rest = await feeds.page(FeedRequest("personal", cursor=page.next_cursor, limit=100))
    together = [item.id for item in (*page.items, *rest.items)]
    assert len(together) == len(set(together)) == page.total
    with pytest.raises(InvalidInput, match="base_feed: goes with personal only"):
        await ids(feeds, "ada", feed="cosmos", base_feed="axioms")


async def test_what_cannot_be_under_a_personal_feed_is_named(feeds):
    for base, problem in {
        "personal": "base_feed: is personal itself; give another, or none",
        "nope": "base_feed: 'nope' is unknown; known are cosmos",
        "a\0b": "base_feed: 'a.x00b' is unknown",
    }.items():
        with pytest.raises(InvalidInput, match=problem):
            await ids(feeds, "ada", base_feed=base)
    page = await feeds.page(FeedRequest("personal", user_id="ada", limit=5))
    cursor = page.next_cursor
    await feeds.page(FeedRequest("personal", cursor=cursor, base_feed="cosmos"))
    with pytest.raises(InvalidInput, match="base_feed: is 'axioms', which is not what the cursor"):
        await feeds.page(FeedRequest("personal", cursor=cursor, base_feed="axioms"))


async def test_what_was_recorded_elsewhere_is_in_the_next_answer(feeds, clock, database_url):
    async with session_factory_for(database_url) as factory:
        elsewhere = FeedService(factory, clock=clock)
        assert await ids(elsewhere, "ada") == await ids(feeds, "ada")
        await like(feeds, clock, "ada", "git")
        assert share(await ids(elsewhere, "ada"), "git") == 1
        await elsewhere.readers.reset_profile("ada")
        page = await feeds.page(FeedRequest("personal", user_id="ada"))
        assert "0 interactions are known" in (page.personalization or "")
        await elsewhere.close()


async def test_candidates_are_ranked_personally_too(feeds, clock):
    await like(feeds, clock, "ada", "bread")
    ranked = await feeds.rank(["git1", "bread1", "nobody knows"], "ada", "personal")
    assert ranked.kblock_ids.index("bread1") < ranked.kblock_ids.index("git1")
    assert sum(part.contribution for part in ranked.explained[0].values())


async def test_a_profile_says_in_words_what_is_believed(feeds, clock):
    empty = await feeds.profile("ada")
    assert empty.summary[0] == "0 interactions of yours are known."
    await like(feeds, clock, "ada", "git")
    await like(feeds, clock, "bob", "git")
    found = await feeds.profile("ada")
    assert "Your personal feed is made from them." in found.summary
    assert "You like the tag git and the author git writer." in found.summary
    assert any(each.startswith("You do not like the tag bread") for each in found.summary)
    assert any("interests like yours" in each for each in found.summary)
    with pytest.raises(InvalidInput, match="guest"):
        await feeds.profile("guest")


async def test_a_dwell_time_counts_by_what_the_words_would_take(feeds, clock):
    for number in range(6):
        await feeds.record.record_interaction("ada", f"git{number}", "view", 1_000)
        await feeds.record.record_interaction("ada", f"bread{number}", "view", 90_000)
    profile = (await feeds.profile("ada")).profile
    assert profile.tags["bread"] > 4 * profile.tags["git"] > 0


async def test_a_feed_of_which_a_reader_hides_all_is_empty(feeds):
    await feeds.readers.prefer("ada", Preferences(muted_tags=TOPICS))
    page = await feeds.page(FeedRequest("personal", user_id="ada", explain=True))
    assert (page.items, page.total, page.has_more) == ([], 0, False)
    ranked = await feeds.rank(["git1", "bread1"], "ada", "personal")
    assert ranked.kblock_ids == []


async def test_candidates_are_ranked_by_the_labels_that_they_have_now(feeds, clock):
    await like(feeds, clock, "ada", "git")

    async def tags() -> bool:
        ranked = await feeds.rank(["later"], "ada", "personal")
        return "tags" in ranked.explained[0]

    assert not await tags()
    await feeds.kblocks.put([KBlock.parse({"id": "later", "title": "Later", "tags": ["git"]})])
    assert await tags()
    await feeds.kblocks.put([KBlock.parse({"id": "later", "title": "Later"})])
    assert not await tags()


async def test_nothing_is_kept_of_who_has_done_nothing(feeds, clock):
    await like(feeds, clock, "ada", "git")
    kept = vars(feeds.profiles)
    await ids(feeds, "ada")
    before = {name: len(each) for name, each in kept.items() if isinstance(each, dict | set)}
    for number in range(20):
        await ids(feeds, f"nobody{number}")
        await feeds.rank([f"unknown{number}-{each}" for each in range(50)], "nobody", "personal")
    after = {name: len(each) for name, each in kept.items() if isinstance(each, dict | set)}
    assert after == before


async def test_an_event_may_have_a_comma_in_its_id(feeds, monkeypatch):
    for number in range(6):
        await feeds.record.record_interaction(
            "ada", f"git{number}", "engage", interaction_id=f"a,{number}"
        )
    await ids(feeds, "ada")
    recalled = []
    affinities = (await feeds.profiles.fresh("ada")).affinities
    monkeypatch.setattr(affinities, "recall", lambda *given: recalled.append(given))
    await ids(feeds, "ada")
    assert not recalled
