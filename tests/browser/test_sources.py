"""The page of sources in a real browser: subscribing, lists, mutes, weights, and its barriers."""

from collections.abc import Iterator

import pytest
from playwright.async_api import expect

from tests.support.feeds import page_naming, rss
from tests.support.pages import barriers_of, led_on, shoot
from tests.support.waiting import until
from tests.support.web import Answer, Web, web

SIZES = {"desktop": (1280, 800), "phone": (360, 720)}


@pytest.fixture
def settings() -> dict[str, str]:
    return {"HARKEN_PRIVATE_SOURCES": "127.0.0.1", "HARKEN_REFRESH_EVERY": "1h"}


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as served:
        served.pages["/"] = page_naming("/feed")
        served.pages["/feed"] = Answer(rss("Blog of Ada", "one", "two"), headers={"ETag": '"a"'})
        served.pages["/other"] = Answer(rss("Other", "three", link="https://other.example/"))
        yield served


async def opened(page, server, user="?user=ada"):
    await page.goto(f"{server}/sources{user}")
    await expect(page.locator("html")).to_have_attribute("data-sources", "ready")


async def subscribed(api, url):
    answer = await api.post("/api/sources", json={"url": url})
    answer.raise_for_status()
    return answer.json()["source"]["id"]


async def test_a_site_is_subscribed_to_by_keyboard_alone(server, page, site, api, problems):
    await page.goto(f"{server}/?user=ada")
    await page.get_by_role("link", name="Sources").focus()
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    await opened(page, server)
    await expect(page.locator("#list")).to_contain_text("There are no sources yet")
    await page.locator("#add-url").focus()
    await page.keyboard.type(f"{site.url}/nothing")
    await page.keyboard.press("Enter")
    await expect(page.locator("#add-problem")).to_contain_text("404")
    await expect(page.locator("#add-url")).to_be_focused()
    await page.keyboard.press("Control+A")
    await page.keyboard.type(site.url)
    await page.keyboard.press("Enter")
    await expect(page.locator(".toast").last).to_contain_text("Blog of Ada: 2 notes new")
    link = page.locator(".sources h2 a")
    await expect(link).to_be_focused()
    await shoot(page, "sources-subscribed")
    await led_on(page, page.keyboard.press("Enter"))
    await expect(page.locator("h1")).to_have_text("Blog of Ada")
    await expect(page.locator(".card .title")).to_have_text(["one", "two"])
    await expect(page.locator(".card .source").first).to_have_text("Blog of Ada")
    # The refused address is an answer of this server, which the console reports.
    assert [each for each in problems if "422" not in each] == []


async def test_a_source_is_muted_at_once_and_brought_back(server, page, site, api, problems):
    key = await subscribed(api, f"{site.url}/feed")
    # The feed has the latest notes, which are of no source, beside those of the source.
    await page.goto(f"{server}/?user=ada&feed=tag:odd")
    await expect(page.locator(".card .source")).to_have_count(0)
    await page.goto(f"{server}/?user=ada&feed=source:{key}")
    cards = page.locator(f".card:has([data-source='{key}'])")
    await expect(cards).to_have_count(2)
    await cards.first.locator(".mute-source").click()
    await expect(page.locator(".toast").last).to_contain_text("The source “Blog of Ada” is muted")
    await expect(cards.first).to_be_hidden()

    async def muted():
        return (await api.get("/api/users/ada/preferences")).json()["muted_sources"]

    assert await muted() == [key]
    await page.locator(".toast").last.get_by_role("button", name="Undo").click()
    await expect(cards.first).to_be_visible()
    assert await muted() == []


async def test_what_is_wanted_and_known_of_a_source_is_changed_in_its_row(
    server, page, site, api, problems
):
    key = await subscribed(api, f"{site.url}/feed")
    await opened(page, server)
    row = page.locator(f"#source-{key}")
    await row.get_by_label("Weight of Blog of Ada").select_option("4.0")
    await expect(page.locator(".toast").last).to_contain_text("Your next page shows it")
    await expect(row.get_by_label("Weight of Blog of Ada")).to_be_focused()
    mute = row.locator("[data-do=mute]")
    await mute.press("Enter")
    await expect(mute).to_have_attribute("aria-pressed", "true")
    await page.locator("#cap").select_option("3")
    wanted = {"muted_sources": [key], "most_per_source": 3}

    async def is_kept():
        found = (await api.get("/api/users/ada/preferences")).json()
        return wanted.items() <= found.items() and list(found["interests"]["sources"].values())

    assert await until(is_kept) == [2.0]
    await row.get_by_role("button", name="Rename…").click()
    await page.locator("#rename-name").fill("Ada")
    await page.locator("#rename-name").press("Enter")
    await expect(row.locator("h2")).to_have_text("Ada")
    site.pages["/feed"] = Answer(status=503)
    await row.get_by_role("button", name="Refresh Ada").click()
    await expect(row.locator(".problem")).to_contain_text(
        "Failed: cannot be fetched: 503 Service Unavailable"
    )
    await expect(row).to_contain_text("asked again in")
    await shoot(page, "sources-failed")
    site.pages["/feed"] = Answer(rss("Blog of Ada", "new", "one", "two"))
    await row.get_by_role("button", name="Refresh Ada").click()
    await expect(page.locator(".toast").last).to_contain_text("1 note new")
    await expect(row.locator(".problem")).to_have_count(0)
    await row.get_by_role("button", name="Remove…").click()
    await expect(page.locator("#remove")).to_contain_text("Its notes stay")
    await expect(page.locator("#remove [data-cancel]")).to_be_focused()
    await page.locator("#remove [data-go]").click()
    await expect(page.locator("#list")).to_contain_text("There are no sources yet")


async def test_a_list_comes_in_is_read_in_the_background_and_goes_out(
    server, page, site, api, problems
):
    await opened(page, server)
    urls = "".join(f'<outline text="" xmlUrl="{site.url}{each}"/>' for each in ("/feed", "/other"))
    opml = f'<opml version="2.0"><body>{urls}</body></opml>'
    await page.locator("#opml").set_input_files(
        {"name": "subscriptions.opml", "mimeType": "text/x-opml", "buffer": opml.encode()}
    )
    await expect(page.locator(".toast").last).to_contain_text("2 sources added, 0 known before")

    async def are_read():
        found = (await api.get("/api/sources")).json()["sources"]
        return [each["items"] for each in found] == [2, 1]

    await until(are_read)
    await page.reload()
    await expect(page.locator(".sources h2")).to_have_text(["Blog of Ada", "Other"])
    async with page.expect_download() as started:
        await page.get_by_role("button", name="Export OPML").click()
    download = await started.value
    assert download.suggested_filename == "sources.opml"
    text = (await download.path()).read_text("utf-8")
    assert 'title="Blog of Ada"' in text
    await page.get_by_role("button", name="Refresh all").click()
    await expect(page.locator(".toast").last).to_contain_text("2 sources are asked now")


async def states(page, server, site, api):
    """Yield the names of the states of the page, after entering each."""
    await opened(page, server)
    yield "empty"
    key = await subscribed(api, f"{site.url}/feed")
    site.pages["/other"] = Answer(rss("A" * 300, "three", link="https://other.example/"))
    other = await subscribed(api, f"{site.url}/other")
    site.pages["/other"] = Answer(status=410)
    await api.post(f"/api/sources/{other}/refresh")
    await api.put(f"/api/sources/{key}/preference", json={"user_id": "ada", "muted": True})
    await opened(page, server)
    await expect(page.locator(".sources .problem")).to_contain_text("410 Gone")
    yield "list"
    await page.locator(f"#source-{key}").get_by_role("button", name="Rename…").click()
    yield "rename"
    await opened(page, server, "")
    yield "guest"
    await page.goto(f"{server}/?user=bob&feed=source:{key}")
    await expect(page.locator(".card .source").first).to_be_visible()
    yield "cards"


@pytest.mark.parametrize(
    ("size", "scheme"), [("desktop", "light"), ("phone", "dark"), ("phone", "light")]
)
async def test_no_state_has_a_barrier_or_lies_beside_the_window(
    server, browser, site, api, size, scheme
):
    width, height = SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = await context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    found = await barriers_of(
        page, states(page, server, site, api), f"sources-{{}}-{size}-{scheme}"
    )
    await context.close()
    assert found == {}
    assert wrong == []


async def test_without_scripts_the_list_can_be_read(server, browser, site, api):
    await subscribed(api, f"{site.url}/feed")
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{server}/sources")
    async with page.expect_navigation():
        await page.locator(".sources h2 a").click()
    await expect(page.locator("h1")).to_have_text("Blog of Ada")
    await context.close()
