"""Reasons in feeds: who is counted was really there, on each database; and what a reader sets."""

import re
from datetime import timedelta
from typing import Any

import pytest

from harken.domain.preferences import Preferences
from harken.errors import InvalidInput, NotFound
from harken.services.feed.explanations.facts import WINDOWS
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.personal.stated_interests import STEP, as_preferences
from tests.conftest import session_factory_for
from tests.contract.conftest import log
from tests.contract.test_personal import feeds, like

__all__ = ["feeds"]

READERS = [f"r{number}" for number in range(12)]


async def crowd(feeds, clock):
    """Let a dozen readers read, and ada with them, over two weeks."""
    for number, reader in enumerate([*READERS, "ada"] * 3):
        clock.now += timedelta(hours=7)
        topic = "git" if number % 3 else "bread"
        for each in range(number % 5 + 1):
            action = "engage" if (number + each) % 4 else "dismiss"
            kblock = f"{topic}{(number + each * 3) % 20}"
            await feeds.record.record_interaction(reader, kblock, action)
    await feeds.record.record_interaction("guest", "git3", "view")


async def explained(feeds, user_id="ada", feed="personal", **request):
    asked = FeedRequest(feed, user_id=user_id, limit=100, explain=True, **request)
    return await feeds.page(asked)


def told(item, part):
    return [each for each in item.reasons if each.part == part]


def scores(page):
    return {item.id: item.score for item in page.items}


def seconds_of(text):
    [found] = [seconds for seconds, words in WINDOWS.items() if words in text]
    return found


async def test_people_who_are_counted_were_there_in_the_time_that_is_said(feeds, clock, database):
    await crowd(feeds, clock)
    rows = [row for row in await log(database) if row.action in {"view", "engage"}]
    dismissed = {
        (row.user_id, row.kblock_id): row.created_at
        for row in await log(database) if row.action == "dismiss"
    }  # fmt: skip
    page = await explained(feeds)
    profile = (await feeds.profile("ada")).profile
    alike = {each.user_id for each in profile.neighbours}
    counted = 0
    for item in page.items:
        last: dict[str, Any] = {}
        for row in rows:
            if row.kblock_id == item.id and row.user_id not in {"ada", "guest"}:
                last[row.user_id] = max(row.created_at, last.get(row.user_id, row.created_at))
        # A dismissal takes a reader out of the readers of a K-Block.
        last = {
            who: at for who, at in last.items()
            if dismissed.get((who, item.id), at) <= at
        }  # fmt: skip
        for part, of in (("recent_activity", last.keys()), ("user_similarity", alike)):
            for reason in told(item, part):
                said = re.search(r"(\d+) (?:person|people)\b", reason.text)
                if said is None:
                    continue
                since = clock.now - timedelta(seconds=seconds_of(reason.text))
                there = [who for who, at in last.items() if who in of and at >= since]
                assert int(said[1]) == len(there)
                counted += 1
    assert counted > 5


async def test_each_item_is_raised_or_held_back_by_what_really_differs(feeds, clock, database):
    await crowd(feeds, clock)
    await like(feeds, clock, "ada", "git")
    page = await explained(feeds)
    assert page.candidates == 40 - len(await feeds.readers.dismissals("ada"))
    for name in ("freshness", "tags", "authors", "recent_activity"):
        values = sorted(item.explanation[name].contribution for item in page.items)
        middle = (values[len(values) // 2] + values[(len(values) - 1) // 2]) / 2
        for item in page.items:
            for reason in told(item, name):
                added = item.explanation[name].contribution
                assert (added > middle) is (reason.direction == "raised")
                assert reason.figures["median"] == pytest.approx(middle)
    ages = sorted((clock.now - item.created_at for item in page.items), reverse=True)
    for item in page.items:
        for reason in told(item, "freshness"):
            is_newer = clock.now - item.created_at < ages[len(ages) // 2]
            assert reason.text.startswith("Newer" if is_newer else "Older")
    first = page.items[0]
    assert first.reasons[0].direction == "raised"
    told_of_tags = [reason.text for item in page.items for reason in told(item, "tags")]
    assert "You dismissed notes with its tag bread." in told_of_tags
    since = {row.kblock_id: row.created_at for row in reversed(await log(database))
             if row.user_id == "ada"}  # fmt: skip
    for item in page.items:
        for reason in told(item, "passed_over"):
            passed = sum(at > item.created_at for each, at in since.items())
            assert reason.figures["passed"] == passed


async def test_later_pages_compare_with_the_same_candidates(feeds, clock):
    await crowd(feeds, clock)
    whole = await explained(feeds, ranking="weighted")
    first = await feeds.page(
        FeedRequest("personal", user_id="ada", ranking="weighted", limit=10, explain=True)
    )
    rest = await feeds.page(
        FeedRequest("personal", user_id="ada", ranking="weighted", cursor=first.next_cursor,
                    limit=100, explain=True)
    )  # fmt: skip
    known = {item.id: [each.text for each in item.reasons] for item in whole.items}
    for item in [*first.items, *rest.items]:
        assert [each.text for each in item.reasons] == known[item.id]


async def test_an_order_by_time_says_that_nothing_else_counts(feeds):
    page = await explained(feeds, feed="cosmos")
    assert {each.text for item in page.items for each in item.reasons} == {
        "The newest notes come first. Nothing else counts in this order."
    }
    plain = await feeds.page(FeedRequest("cosmos"))
    assert plain.items[0].reasons is None
    drawn = await explained(feeds, feed="cosmos", ranking="weighted", temperature=0.5, seed=1)
    said = [each for item in drawn.items for each in item.reasons if "Chance" in each.text]
    assert len(said) == len([item for item in drawn.items if item.propensity < 1])
    assert said[0].figures["probability"] == drawn.items[0].propensity


# What a reader sets


async def wanted(feeds, user_id, direction, kblock_id):
    changes = await feeds.preview_interests(kblock_id, user_id, direction * STEP)
    stated = {each.label: each.after for each in changes}
    await feeds.readers.prefer(user_id, Preferences(interests=as_preferences(stated)))
    return changes


async def test_more_and_less_like_this_are_on_the_next_page_and_can_be_undone(
    feeds, clock, database_url
):
    await like(feeds, clock, "ada", "git")
    before = [item.id for item in (await explained(feeds)).items]
    place = before.index("bread1")
    changes = await wanted(feeds, "ada", +1, "bread1")
    assert {(*each.label, each.after > each.before) for each in changes} == {
        ("tags", "bread", True), ("authors", "bread writer", True),
    }  # fmt: skip
    async with session_factory_for(database_url) as factory:
        elsewhere = FeedService(factory, clock=clock)
        pages = [await explained(each) for each in (feeds, elsewhere)]
        await elsewhere.close()
    for page in pages:
        assert [item.id for item in page.items].index("bread1") < place
        [item] = [item for item in page.items if item.id == "bread1"]
        [reason] = told(item, "stated_interests")
        assert reason.direction == "raised"
        assert "You asked for more like this: the tag bread" in reason.text
        assert item.score == pytest.approx(
            sum(part.contribution for part in item.explanation.values())
        )
    assert "and from the interests that you set" in (page.personalization or "")
    # A second step goes further, and then there is no further.
    for _ in range(3):
        changes = await wanted(feeds, "ada", +1, "bread1")
    assert {each.after for each in changes} == {2.0}
    await feeds.readers.prefer("ada", Preferences())
    assert [item.id for item in (await explained(feeds)).items] == before


async def test_less_like_this_lowers_and_a_removed_interest_counts_for_nothing(feeds, clock):
    await like(feeds, clock, "ada", "git")
    before = await explained(feeds)
    for _ in range(2):
        await wanted(feeds, "ada", -1, "git1")
    page = await explained(feeds)
    [reason] = told(next(item for item in page.items if item.id == "git1"), "stated_interests")
    assert reason.direction == "held_back"
    assert reason.text == "You asked for less like this: the tag git and the author git writer."
    assert scores(page)["git1"] < scores(before)["git1"] - 5
    interests = {"tags": {"git": 0.0}, "authors": {"git writer": 0.0}}
    await feeds.readers.prefer("ada", Preferences(interests=interests))
    [item] = [item for item in (await explained(feeds)).items if item.id == "git1"]
    parts = item.explanation
    own = parts["tags"].contribution + parts["authors"].contribution
    assert parts["stated_interests"].contribution == pytest.approx(-own)
    found = await feeds.profile("ada")
    removed = {each.name: each.words for each in found.interests if each.stated == 0}
    assert removed == {"git": "no interest", "git writer": "no interest"}
    assert "You set 2 interests yourself, in place of what your reading says." in found.summary


async def test_a_pinned_interest_does_not_fade(feeds, clock):
    await like(feeds, clock, "ada", "git")
    learned = (await feeds.profile("ada")).profile.tags["git"]
    await feeds.readers.prefer("ada", Preferences(interests={"tags": {"git": learned}}))
    clock.now += timedelta(days=90)
    page = await explained(feeds)
    [item] = [item for item in page.items if item.id == "git1"]
    tags, stated = item.explanation["tags"], item.explanation["stated_interests"]
    assert tags.value < learned / 2
    assert tags.contribution + stated.contribution == pytest.approx(2 * learned)


async def test_interests_count_for_a_reader_who_is_not_known_yet_and_for_no_other(feeds):
    plain = [item.id for item in (await explained(feeds, "bob")).items]
    await wanted(feeds, "ada", +1, "git5")
    page = await explained(feeds, "ada")
    assert all(item.id.startswith("git") for item in page.items[:10])
    assert "and from the interests that you set, since 0 interactions" in page.personalization
    assert [item.id for item in (await explained(feeds, "bob")).items] == plain
    ranked = await feeds.rank(["bread0", "git5"], "ada", "personal")
    assert ranked.kblock_ids == ["git5", "bread0"]
    await feeds.readers.prefer(
        "ada", Preferences(interests={"tags": {"git": 2.0}}, personalized=False)
    )
    assert [item.id for item in (await explained(feeds, "ada")).items] == plain


async def test_interests_and_weights_are_kept_beside_each_other(feeds, session_factory, clock):
    both = Preferences(weights={"recency": 0.5}, interests={"layers": {"3": -1.0}})
    await feeds.readers.prefer("ada", both)
    assert await feeds.readers.preferences("ada") == both
    assert (await feeds.readers.context("ada")).weights == {"recency": 0.5}
    with pytest.raises(NotFound):
        await feeds.preview_interests("nowhere", "ada", STEP)
    for wrong in ({"moods": {"git": 1.0}}, {"tags": {"git": 3.0}}, {"tags": {" ": 1.0}}):
        with pytest.raises(InvalidInput, match="interests"):
            Preferences.parse({"interests": wrong})
