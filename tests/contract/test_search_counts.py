"""How much a search reads and counts, on both databases; its pages lose nothing by that."""

from dataclasses import replace
from typing import Any

import pytest

from harken.services.feed.search import finding
from harken.services.feed.search.request import SearchRequest
from harken.services.kblocks.search import matching
from tests.contract.test_search import feeds, put

__all__ = ["feeds"]

RARE, HALF = "rare", "half"
WORDS = {RARE: 40, HALF: 2, "every": 1}
"""Words, and of how many K-Blocks one has each."""


async def many(feeds) -> None:
    """Put 400 K-Blocks: words of each share; the older half has `old` in the title, ten `pair`."""
    notes = [
        {
            "id": f"m{n:03}", "tags": ["odd"] if n % 2 else ["even"], "author": f"a{n % 10}",
            "title": "old" if n < 200 else "new",
            "content": " ".join(
                [each for each, one_in in WORDS.items() if n % one_in == 0]
                + (["left right"] if n % 40 == 1 else ["right left"])
            ),
        }
        for n in range(400)
    ]  # fmt: skip
    await put(feeds, *notes)


SEARCHES: list[tuple[dict[str, Any], int]] = [
    ({"q": "every"}, 400), ({"q": "half"}, 200), ({"q": "rare"}, 10), ({"q": "nowhere"}, 0),
    ({"q": '"left right"'}, 10), ({"q": "old"}, 200), ({"q": "old rare"}, 5),
    ({"q": "every -half"}, 200), ({"q": "ev*"}, 400), ({"q": "rar* -old"}, 5),
    ({"q": "every", "tag": "odd"}, 200), ({"q": "half", "tag": "odd"}, 0),
    ({"q": "every", "author": "a3"}, 40), ({"q": "rare", "author": "a0"}, 10),
    ({"q": "every", "feed": "axioms"}, 0),
]  # fmt: skip


@pytest.fixture(params=[(12, 4, 400), (60, 30, 60)])
def bounds(monkeypatch, request):
    enough, sample, rows = request.param
    for module in (finding, matching):
        monkeypatch.setattr(module, "ENOUGH", enough)
    monkeypatch.setattr(matching, "SAMPLE", sample)
    monkeypatch.setattr(matching, "MOST_ROWS", rows)
    monkeypatch.setattr(finding, "CANDIDATES", enough)
    monkeypatch.setattr(finding, "HEADED", enough)
    monkeypatch.setattr(finding, "MOST_ORDERED", enough // 2)
    return enough


async def test_a_search_that_stops_early_says_so_and_its_pages_lose_nothing(feeds, bounds):
    await many(feeds)
    await feeds.record.record_interaction("ada", "m399", "dismiss")
    await feeds.record.record_interaction("ada", "m080", "dismiss")
    for search, count in SEARCHES:
        request = SearchRequest(**search, user_id="ada", limit=50)
        seen: list[str] = []
        while True:
            page = await feeds.search.find(request)
            seen += [each.item.id for each in page.items]
            if page.total_is_exact:
                assert page.total + page.hidden == count, request
            else:
                assert page.total <= min(bounds, count), request
                assert page.has_more
            if page.next_cursor is None:
                break
            request = replace(request, cursor=page.next_cursor)
        assert page.total_is_exact
        assert len(seen) == len(set(seen)) == page.total, request


async def test_what_leads_is_the_latest_with_the_word_in_the_heading(feeds, bounds):
    await many(feeds)
    await put(feeds, {"id": "late", "title": "late", "content": "every"})
    page = await feeds.search.find(SearchRequest("old every", limit=5))
    latest_old = {f"m{n:03}" for n in range(200 - bounds, 200)}
    assert {each.item.id for each in page.items} <= latest_old
    page = await feeds.search.find(SearchRequest("every", limit=5))
    assert "late" in {each.item.id for each in page.items}
