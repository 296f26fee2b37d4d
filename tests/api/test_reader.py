"""The HTML of the reader: slates, fragments, errors, and escaping."""

import re
from html import unescape
from urllib.parse import quote

import pytest

from harken.protocols.api.app import create_app
from tests.api.conftest import client_of

NASTY = "\"><script>alert('x')</script><img src=x onerror=alert(1)>&amp;{{7*7}}"
ATTRIBUTE = "' onmouseover=alert(1) x='"


async def put(client, kblock_id, **fields):
    made = await client.put(f"/api/kblocks/{quote(kblock_id)}", json={"title": kblock_id, **fields})
    assert made.status_code == 201


async def put_many(client, count):
    made = [{"id": f"k{number:02}", "title": f"K {number}"} for number in range(count)]
    assert (await client.post("/api/kblocks/batch", json={"kblocks": made})).status_code == 200


def ids(html):
    return re.findall(r'<article class="card"[^>]* data-id="([^"]+)"', html)


def attribute(html, name):
    found = re.search(rf'\s{name}="([^"]*)"', html)
    return found and unescape(found[1])


def is_harmless(html):
    assert "<script>" not in html
    assert "<img" not in html
    assert not re.search(r"<[^>]*\son\w+=(?![^<>]*&)", re.sub(r'"[^"]*"', '""', html))
    return True


async def test_the_page_is_the_slate_that_the_api_would_have_served(client):
    await put_many(client, 30)
    page = (await client.get("/?feed=cosmos&ranking=attention&user=ada")).text
    served = (await client.get("/api/feed/cosmos?ranking=attention&user_id=ada")).json()
    assert ids(page) == [item["id"] for item in served["items"]]
    assert attribute(page, "data-request-id") != served["request_id"]
    following = await client.get(
        "/reader/cards",
        params={
            "feed": "cosmos", "ranking": "attention", "user": "ada",
            "cursor": attribute(page, "data-next-cursor"),
        },
    )  # fmt: skip
    assert following.status_code == 200
    assert len(ids(page)) + len(ids(following.text)) == len({*ids(page), *ids(following.text)})
    assert len({*ids(page), *ids(following.text)}) == 30
    assert attribute(following.text, "data-next-cursor") is None
    positions = re.findall(r'data-position="(\d+)"', following.text)
    assert positions == [str(number) for number in range(20, 30)]
    assert attribute(following.text, "data-request-id") != attribute(page, "data-request-id")


async def test_a_stored_feed_that_was_deleted_is_read_to_its_end(client):
    await put_many(client, 30)
    declared = await client.put("/api/feed/feeds/mine", json={"ranking": "attention"})
    assert declared.status_code == 201
    page = (await client.get("/?feed=mine")).text
    assert ">mine</a>" in page
    await client.delete("/api/feed/feeds/mine")
    cursor = attribute(page, "data-next-cursor")
    params = {"feed": "mine", "ranking": "attention", "cursor": cursor}
    assert len(ids((await client.get("/reader/cards", params=params)).text)) == 10
    assert (await client.get("/?feed=mine")).status_code == 404


@pytest.mark.parametrize("number_of_feeds", [3, 20])
async def test_many_feeds_are_in_a_menu_but_the_chosen_one_is_a_tab(client, number_of_feeds):
    for number in range(number_of_feeds):
        await client.put(f"/api/feed/feeds/own-{number:02}", json={})
    page = (await client.get(f"/?feed=own-{number_of_feeds - 1:02}")).text
    tabs, _, menu = page.partition("<summary>More</summary>")
    assert f'aria-current="page">own-{number_of_feeds - 1:02}</a>' in tabs
    assert (menu != "") is (number_of_feeds == 20)
    for number in range(number_of_feeds):
        assert page.count(f">own-{number:02}<") == 1


async def test_text_stays_text(client):
    await put(
        client, "nasty", title=NASTY, content=f"# {NASTY}\n\n{NASTY}", author=NASTY[:64],
        tags=[NASTY[:60], ATTRIBUTE], kind=NASTY[:60], path=NASTY, galois_loss=0.5, layer=1,
        principles=[NASTY[:60]],
    )  # fmt: skip
    await put(client, "other", title=ATTRIBUTE, edges=[{"target": "nasty", "kind": "contradicts"}])
    declared = await client.put("/api/feed/feeds/f", json={"description": NASTY})
    assert declared.status_code == 201
    for kblock in ("nasty", "other"):
        event = {"user_id": NASTY[:64], "kblock_id": kblock, "action": "engage"}
        assert (await client.post("/api/feed/feedback/record", json=event)).status_code == 200
    event = {"user_id": NASTY[:64], "kblock_id": "nasty", "action": "dismiss"}
    listed = (await client.get("/?feed=contradictions&ranking=weighted&user=ada")).text
    assert unescape(listed).count(NASTY) >= 2
    assert is_harmless(listed)
    await client.post("/api/feed/feedback/record", json=event)
    for path in (
        "/", "/?feed=f", "/?feed=personal", "/kblock?id=nasty", "/kblock?id=other",
        "/reader/content?id=nasty", "/reader/dismissed", "/reader/profile",
    ):  # fmt: skip
        found = await client.get(path, params={"user": NASTY[:64]} | _of(path))
        assert found.status_code == 200, found.text
        assert "amp;49" not in found.text  # no text is escaped or expanded twice
        assert is_harmless(found.text), path


def _of(path):
    query = path.partition("?")[2]
    return dict(each.split("=") for each in query.split("&")) if query else {}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"feed": NASTY}, 404),
        ({"ranking": NASTY}, 422),
        ({"user": NASTY * 2}, 422),
        ({"user": " "}, 422),
        ({"user": "a\x00"}, 422),
    ],
)
async def test_an_address_that_says_nothing_sensible_gets_a_page_that_says_so(
    client, query, status
):
    found = await client.get("/", params=query)
    assert found.status_code == status
    assert found.headers["content-type"].startswith("text/html")
    assert "Traceback" not in found.text
    assert "Back to the reader" in found.text
    assert is_harmless(found.text)


async def test_a_browser_remembers_who_reads_and_an_address_goes_before(client):
    await put(client, "k")
    client.cookies.set("harken_reader_8000", "Zo%C3%AB%20%3Cb%3E")
    assert "<strong>Zoë &lt;b&gt;</strong>" in (await client.get("/")).text
    assert "<strong>bob</strong>" in (await client.get("/?user=bob")).text
    for bad in ("", "%00", "x" * 65):
        client.cookies.set("harken_reader_8000", bad)
        assert "<strong>guest</strong>" in (await client.get("/")).text


async def test_what_a_note_says_comes_with_links_to_the_notes_that_it_knows(client):
    await put(client, "a b/c?", title="Far", path="sub/far.md")
    content = "[near](sub/far.md), [[Far]], [away](https://x.example), ![p](https://x.example/p)"
    await put(client, "k", content=content, path="k.md", edges=[{"target": "a b/c?"}])
    found = (await client.get("/reader/content", params={"id": "k", "user": "ada"})).text
    links = [unescape(each) for each in re.findall(r'class="note" href="([^"]+)"', found)]
    assert links == ["/kblock?id=a%20b%2Fc%3F&user=ada"] * 2
    assert (await client.get(links[0])).status_code == 200
    assert "<img" not in found
    assert "k.md" in found
    await client.delete(f"/api/kblocks/{quote('a b/c?')}")
    found = (await client.get("/reader/content?id=k")).text
    assert "near, Far, " in found
    assert 'class="note"' not in found


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/reader/content?id=nowhere", 404),
        ("/reader/content?id=", 422),
        ("/reader/content", 422),
        ("/reader/cards?cursor=forged", 422),
        ("/reader/cards", 422),
        ("/reader/profile", 422),
    ],
)
async def test_what_scripts_ask_for_wrongly_is_a_problem(client, path, status):
    found = await client.get(path)
    assert found.status_code == status
    assert found.headers["content-type"] == "application/problem+json"


async def test_a_note_that_is_not_there_is_a_page_that_says_so(client):
    found = await client.get("/kblock?id=nowhere")
    assert found.status_code == 404
    assert "there is no K-Block" in found.text


async def test_an_empty_database_says_what_to_do(client):
    page = (await client.get("/")).text
    for hint in (
        "harken import markdown notes", "harken demo", "/docs", "/api/feed/feedback/record",
        "/api/feed/analytics", "http://127.0.0.1:8000/api/kblocks/hello",
    ):  # fmt: skip
        assert hint in page
    await put(client, "k")
    assert "harken demo" not in (await client.get("/")).text
    empty = (await client.get("/?feed=contradictions")).text
    assert "Notes that contradict another one: press c on a note" in empty


async def test_a_log_without_kblocks_is_not_called_nothing(client):
    events = [{"user_id": "ada", "kblock_id": f"k{n}", "action": "view"} for n in range(1_000)]
    for _ in range(2):
        answer = await client.post("/api/feed/feedback/batch", json={"events": events})
        assert answer.status_code == 200
    page = (await client.get("/?feed=personal&user=ada")).text
    assert "The log has 2,000 events, but the database has no K-Blocks" in page
    assert "/api/feed/rank" in page
    assert "harken import markdown" in page
    await put(client, "k1")
    assert "events are known" not in (await client.get("/?feed=axioms")).text


async def test_a_guest_is_told_that_nothing_is_personal(client):
    await put(client, "k")
    page = (await client.get("/?feed=personal")).text
    assert "You read as a guest. Feeds of guests are not personalised" in page
    known = (await client.get("/?feed=personal&user=ada")).text
    assert "0 interactions are known of you and 5 are needed" in unescape(known)


@pytest.fixture
async def guarded(database_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_API_KEYS", "sesame")
    async with client_of(create_app(), "http://harken.example") as opened:
        opened.headers["X-API-Key"] = "sesame"
        await put(opened, "k", title="A secret", content="a hidden content")
        del opened.headers["X-API-Key"]
        yield opened


async def test_with_keys_pages_have_no_data_and_fragments_are_refused(guarded):
    for path in ("/", "/?feed=personal&user=ada", "/kblock?id=k"):
        page = await guarded.get(path)
        assert page.status_code == 200
        assert "secret" not in page.text
        assert "a hidden content" not in page.text
        assert "js/load-with-key.js" in page.text
    for path in ("/reader/content?id=k", "/reader/dismissed", "/reader/profile?user=ada"):
        assert (await guarded.get(path)).status_code == 401
    guarded.headers["Authorization"] = "Bearer sesame"
    for path in ("/", "/kblock?id=k"):
        assert "A secret" in (await guarded.get(path)).text
    # With keys there is no user menu; the address names the user.
    assert 'id="user-form"' not in (await guarded.get("/")).text
