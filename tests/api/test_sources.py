"""REST of sources."""

import pytest

from tests.support.feeds import page_naming, rss
from tests.support.web import Answer, web


@pytest.fixture(autouse=True)
def private(monkeypatch):
    monkeypatch.setenv("HARKEN_PRIVATE_SOURCES", "127.0.0.1")


@pytest.fixture
def site():
    with web({"/feed": Answer(rss("Blog", "one", "two"), headers={"ETag": '"a"'})}) as served:
        yield served


async def test_the_life_of_a_source(client, site):
    url = f"{site.url.replace('://', '://ada:secret@')}/feed"
    answer = await client.post("/api/sources", json={"url": url, "user_id": "ada"})
    assert answer.status_code == 200, answer.text
    assert "secret" not in answer.text
    added = answer.json()
    assert (added["status"], added["result"], added["added"]) == ("added", "news", 2)
    source_id, at = added["source"]["id"], f"/api/sources/{added['source']['id']}"
    [listed] = (await client.get("/api/sources", params={"user_id": "ada"})).json()["sources"]
    assert listed == {
        **added["source"], "items": 2, "muted": False, "weight": 1.0, "added_by": "ada",
        "url": f"{site.url}/feed", "feed": f"source:{source_id}",
    }  # fmt: skip
    items = (await client.get(f"/api/feed/feeds/source:{source_id}")).json()["items"]
    assert [item["source"] for item in items] == [{"feed": listed["feed"], "title": "Blog"}] * 2
    assert (await client.get(f"/api/kblocks/{items[0]['id']}")).json()["source"]["title"] == "Blog"
    found = await client.get("/api/feed/cosmos", params={"most_per_source": 1, "limit": 2})
    assert len(found.json()["items"]) == 2

    renamed = await client.patch(at, json={"title": "Mine"})
    assert (renamed.json()["title"], renamed.json()["given_title"]) == ("Mine", "Mine")
    assert (await client.patch(at, json={"title": None})).json()["title"] == "Blog"
    wanted = {"user_id": "ada", "muted": True, "weight": 4.0}
    answer = await client.put(f"{at}/preference", json=wanted)
    assert answer.json() == {"muted": True, "weight": 4.0}
    assert (await client.get("/api/feed/cosmos?user_id=ada")).json()["items"] == []

    site.pages["/feed"] = Answer(status=500)
    failed = (await client.post(f"{at}/refresh")).json()
    assert (failed["result"], failed["source"]["failures"]) == ("failed", 1)
    assert "500" in failed["source"]["error"]
    assert (await client.post("/api/sources/refresh")).json() == {"asked": 1}
    assert (await client.delete(at)).json() == {"success": True}
    for gone in (
        await client.delete(at), await client.post(f"{at}/refresh"),
        await client.patch(at, json={"title": "x"}),
        await client.put(f"{at}/preference", json=wanted),
    ):  # fmt: skip
        assert gone.status_code == 404, gone.text


async def test_lists(client, site):
    await client.post("/api/sources", json={"url": f"{site.url}/feed"})
    written = await client.get("/api/sources/opml")
    assert written.headers["content-type"].startswith("text/x-opml")
    assert "sources.opml" in written.headers["content-disposition"]
    answer = await client.post("/api/sources/opml", json={"opml": written.text})
    assert answer.json() == {"added": 0, "known": 1, "left_out": []}
    assert (await client.post("/api/sources/opml", json={"opml": "x"})).status_code == 422


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"), ({"url": ""}, "url"), ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "http://10.1.2.3/feed"}, "url"), ({"url": "http://169.254.169.254/"}, "url"),
        ({"url": "http://[::1]/"}, "url"), ({"url": "https://x.example", "title": " "}, "title"),
        ({"url": "https://x.example", "more": 1}, "more"),
    ],
)  # fmt: skip
async def test_what_cannot_be_subscribed_to_is_refused(client, body, field):
    answer = await client.post("/api/sources", json=body)
    assert answer.status_code == 422
    assert {each["field"] for each in answer.json()["errors"]} == {field}


async def test_a_page_that_names_no_feed_of_the_web_is_refused(client, site):
    site.pages["/"] = page_naming("ftp://site.example/feed")
    answer = await client.post("/api/sources", json={"url": site.url})
    assert answer.status_code == 422
    assert "names no feed" in answer.text
    answer = await client.post("/api/sources/opml", json={"opml": "<html><![x[</html>"})
    assert answer.status_code == 422


@pytest.mark.parametrize("weight", [0, 0.2, 4.1, "2", True])
async def test_weights_are_from_a_quarter_to_four(client, site, weight):
    added = await client.post("/api/sources", json={"url": f"{site.url}/feed"})
    at = f"/api/sources/{added.json()['source']['id']}/preference"
    answer = await client.put(at, json={"user_id": "ada", "weight": weight})
    assert answer.status_code == 422


async def test_pages_say_where_items_are_from(client, site):
    html = {"Accept": "text/html"}
    assert "There are no sources yet" in (await client.get("/sources", headers=html)).text
    added = (await client.post("/api/sources", json={"url": f"{site.url}/feed"})).json()
    key = added["source"]["id"]
    cards = (await client.get("/?user=ada", headers=html)).text
    assert f'href="/?feed=source%3A{key}&amp;user=ada" data-source="{key}">Blog</a>' in cards
    of_source = (await client.get(f"/?feed=source:{key}", headers=html)).text
    assert "<h1>Blog</h1>" in of_source
    assert 'data-do="mute-source"' not in of_source  # guests mute nothing
    [item, _other] = (await client.get("/api/feed/cosmos")).json()["items"]
    note = (await client.get(f"/kblock?id={item['id']}", headers=html)).text
    assert f'href="/?feed=source%3A{key}">Blog</a>' in note
