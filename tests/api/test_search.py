"""Search over REST and on its page."""

import re
from html import unescape

import pytest

from harken.services.feed.search import finding
from harken.services.kblocks.search import matching
from tests.api.test_feed import assert_problem
from tests.api.test_reader import NASTY, ids, is_harmless

KBLOCKS = [
    {"id": f"notes/{name}", "title": f"On {name}", "tags": ["git"], "author": "Inés",
     "content": f"About {name} and squash."}
    for name in ("rebase", "merge", "squash")
]  # fmt: skip
PATH = "/api/kblocks/search"


@pytest.fixture
async def filled(client):
    response = await client.post("/api/kblocks/batch", json={"kblocks": KBLOCKS})
    assert response.json()["added"] == 3
    return client


async def search(client, **parameters):
    answer = await client.get(PATH, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_is_found_says_where(filled):
    page = await search(filled, q="squash ines")
    assert page["items"][0]["id"] == "notes/squash"
    assert page["items"][0]["match"] == {
        "fields": {"title": ["squash"], "author": ["ines"], "text": ["squash"]},
        "title": "On <mark>squash</mark>",
        "snippet": "About <mark>squash</mark> and <mark>squash</mark>.",
    }
    assert {
        "understood": "squash ines",
        "total": 3,
        "total_is_exact": True,
        "hidden": 0,
        "offset": 0,
    }.items() <= page.items()
    assert page["next_cursor"] is None


async def test_pages_fit_together(filled):
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await search(filled, q="squash", limit=1, **cursor)
        seen += [item["id"] for item in page["items"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted(seen) == sorted(f"notes/{name}" for name in ("rebase", "merge", "squash"))
    assert [item["position"] for item in page["items"]] == [2]


async def test_bad_input_is_a_problem_and_never_a_fault(filled):
    for q, status in {
        "!!": 422, "-git": 422, '"': 422, "x" * 10_000: 422, "a\x00b": 422, '"git': 200, "🎉": 200,
        "git AND (": 200, "*": 422, "京都": 200, "NEAR(git squash)": 200, "title:git": 200,
        "'": 422, "git\\": 200, "%": 422, "": 200,
    }.items():  # fmt: skip
        answer = await filled.get(PATH, params={"q": q})
        assert answer.status_code == status, q
        if status == 422:
            assert_problem(answer, 422, "q")
    assert_problem(await filled.get(PATH + "?q=%ff"), 422, "address")
    assert_problem(await filled.get(PATH, params={"query": "git"}), 422, "query")
    assert_problem(await filled.get(PATH, params={"feed": "none"}), 404, "feed")
    assert_problem(await filled.get(PATH, params={"cursor": "x"}), 422, "cursor")
    assert_problem(await filled.get(PATH, params={"limit": "0"}), 422, "limit")


async def test_a_kblock_may_have_the_id_search(filled):
    assert (await filled.put(PATH, json={"title": "Mine"})).status_code == 201
    assert (await filled.get("/api/kblocks/%73earch")).json()["title"] == "Mine"
    assert [each["id"] for each in (await search(filled, q="mine"))["items"]] == ["search"]
    assert (await filled.get("/api/kblocks/notes/search")).status_code == 404
    assert (await filled.delete(PATH)).status_code == 204


async def test_the_page_finds_without_scripts(filled):
    nothing = await filled.get("/search")
    assert nothing.status_code == 200
    assert "All words are looked for" in nothing.text
    page = await filled.get("/search", params={"q": "squash -merge", "tag": "git", "user": "ada"})
    assert page.status_code == 200
    assert ids(page.text)[0] == "notes/squash"
    assert len(ids(page.text)) == 2
    assert "On <mark>squash</mark>" in page.text
    assert "Found in its title (squash) and text (squash)." in page.text
    assert "data-request-id" not in page.text
    assert "Why this?" not in page.text
    [removed] = re.findall(r'<a href="([^"]+)" aria-label="Remove the filter tag: git"', page.text)
    assert unescape(removed) == "/search?q=squash+-merge&user=ada"
    header = (await filled.get("/?user=ada")).text
    assert 'action="/search"' in header
    assert '<input type="hidden" name="user" value="ada">' in header


async def test_pages_of_the_page_lead_on(client):
    made = [{"id": f"k{n:02}", "title": f"Zebra {n}"} for n in range(45)]
    await client.post("/api/kblocks/batch", json={"kblocks": made})
    address: str | None = "/search?q=zebra"
    seen: list[str] = []
    while address:
        page = (await client.get(address)).text
        seen += ids(page)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        address = found and unescape(found[1])
    assert sorted(seen) == [each["id"] for each in made]


async def test_a_total_that_is_not_exact_is_called_at_least(client, monkeypatch):
    for module in (finding, matching):
        monkeypatch.setattr(module, "ENOUGH", 30)
    monkeypatch.setattr(matching, "SAMPLE", 10)
    made = [{"id": f"k{n:02}", "title": f"Zebra {n}"} for n in range(45)]
    await client.post("/api/kblocks/batch", json={"kblocks": made})
    event = {"user_id": "ada", "kblock_id": "k44", "action": "dismiss"}
    assert (await client.post("/api/feed/feedback/record", json=event)).status_code == 200
    page = await search(client, q="zebra", user_id="ada", limit=20)
    assert (page["total"], page["total_is_exact"], page["has_more"]) == (30, False, True)
    text = (await client.get("/search?q=zebra&user=ada")).text
    assert "At least 30 notes for" in text
    assert "At least 1 more is hidden" in text
    page = await search(client, q="zebra", user_id="ada", limit=20, cursor=page["next_cursor"])
    assert (page["total"], page["total_is_exact"], page["hidden"]) == (44, True, 1)


async def test_the_page_says_what_is_wrong_and_keeps_what_was_typed(client):
    page = await client.get("/search", params={"q": "!!!"})
    assert page.status_code == 422
    assert "it has no word, only signs" in page.text
    assert 'value="!!!"' in page.text
    assert (await client.get("/search", params={"q": "a", "feed": "none"})).status_code == 404


async def test_everything_is_escaped(client):
    await client.put(
        "/api/kblocks/nasty",
        json={"title": f"zebra {NASTY}", "content": f"zebra {NASTY}", "author": NASTY[:60],
              "tags": [NASTY[:60]]},
    )  # fmt: skip
    for q in ("zebra", "script", "alert", f"zebra {NASTY}"):
        page = await client.get("/search", params={"q": q, "user": "ada'\"<b>"})
        assert is_harmless(page.text), q
        assert ids(page.text) == ["nasty"], q


async def test_a_dismissed_note_is_counted(filled):
    event = {"user_id": "ada", "kblock_id": "notes/merge", "action": "dismiss"}
    assert (await filled.post("/api/feed/feedback/record", json=event)).status_code == 200
    page = await filled.get("/search", params={"q": "git", "user": "ada"})
    assert "2 notes for" in page.text
    assert "1 more is hidden: you dismissed or muted it" in page.text
