"""Images and attachments of a source in a real browser, which asks no other host for anything."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from tests.support.images import png
from tests.support.pages import barriers_of, shoot
from tests.support.web import Answer, Web, web

FEED = """<rss version="2.0" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel>
<title>Maps</title><item><title>A walk</title><guid>1</guid><link>https://maps.example/walk</link>
<description><![CDATA[<p>Where we went.</p><p><img src="{site}/map.png" alt="a map" width="900">
</p><p><img src="{site}/gone.png" alt="a photo"></p>
<img src="{site}/count.gif" width="1" height="1">{rest}]]></description>
<enclosure url="{site}/walk.mp3" length="24300000" type="audio/mpeg"/>
<itunes:duration>42:10</itunes:duration></item></channel></rss>"""


@pytest.fixture
def settings() -> dict[str, str]:
    return {
        "HARKEN_PRIVATE_SOURCES": "127.0.0.1", "HARKEN_IMAGE_PROXY": "true", "no_proxy": "*",
    }  # fmt: skip


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as served:
        rest = "<p>Long.</p>" * 200 + f'<p><img src="{served.url}/far.png" alt="far below"></p>'
        served.pages["/feed"] = Answer(FEED.format(site=served.url, rest=rest).encode())
        served.pages["/map.png"] = Answer(png(900, 300))
        served.pages["/far.png"] = Answer(png())
        yield served


@pytest.fixture
def hosts(context) -> set[str]:
    """Return the hosts that the browser asks for anything."""
    asked: set[str] = set()
    context.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    return asked


async def subscribed(api, site):
    answer = await api.post("/api/sources", json={"url": f"{site.url}/feed"})
    answer.raise_for_status()
    return f"source:{answer.json()['source']['id']}"


IS_SHOWN = "image => image.complete && image.naturalWidth > 0"
IS_BROKEN = "image => image.complete && image.naturalWidth === 0"


async def holds(page, image, test):
    await page.wait_for_function(test, arg=await image.element_handle())


async def test_images_come_from_here_and_no_other_host_is_asked(server, page, site, api, hosts):
    feed = await subscribed(api, site)
    await page.set_viewport_size({"width": 360, "height": 720})
    await page.goto(f"{server}/?user=ada&feed={feed}")
    await expect(page.locator("html")).to_have_attribute("data-reader", "ready")
    attachment = page.locator(".card .attachments li")
    await expect(attachment).to_contain_text("walk.mp3")
    await expect(attachment).to_contain_text("audio/mpeg, 24.3 MB, 42:10")
    await expect(page.locator(".card .preview")).not_to_contain_text("walk.mp3")
    await page.locator(".card .title").click()
    map_, photo, far = (page.locator(f".content img[alt='{alt}']") for alt in (
        "a map", "a photo", "far below"))  # fmt: skip
    await holds(page, map_, IS_SHOWN)
    # It is as wide as the text, not as the file.
    assert (await map_.bounding_box())["width"] <= 360
    # A broken image shows its words, in a link to where it is.
    await holds(page, photo, IS_BROKEN)
    link = page.locator(".content a:has(img[alt='a photo'])")
    await expect(link).to_have_attribute("href", f"{site.url}/gone.png")
    await expect(link).to_have_accessible_name("a photo")
    await shoot(page, "images-card-phone")
    # What is far below is not loaded before somebody comes near it; a pixel never is.
    assert "/far.png" not in site.paths
    await far.scroll_into_view_if_needed()
    await holds(page, far, IS_SHOWN)
    assert site.paths.count("/map.png") == 1
    assert "/count.gif" not in site.paths
    assert "/walk.mp3" not in site.paths
    assert hosts == {urlsplit(server).netloc}
    assert all("referer" not in headers for _path, headers in site.asked)


async def test_the_page_of_a_note_has_its_images_and_attachments(server, page, site, api, hosts):
    feed = await subscribed(api, site)
    [item] = (await api.get(f"/api/feed/feeds/{feed}")).json()["items"]
    stored = (await api.get(f"/api/kblocks/{item['id']}")).json()
    assert stored["attachments"] == [{
        "url": f"{site.url}/walk.mp3", "title": "walk.mp3", "media_type": "audio/mpeg",
        "size_bytes": 24_300_000, "seconds": 2_530,
    }]  # fmt: skip

    async def states():
        await page.goto(f"{server}/kblock?id={item['id']}&user=ada")
        await expect(page.locator("html")).to_have_attribute("data-reader", "ready")
        await holds(page, page.locator(".content img[alt='a map']"), IS_SHOWN)
        await expect(page.locator(".attachments a")).to_have_attribute(
            "href", f"{site.url}/walk.mp3"
        )
        await expect(page.locator(".content")).not_to_contain_text("walk.mp3")
        yield "note"

    assert await barriers_of(page, states(), "images-{}") == {}
    assert hosts == {urlsplit(server).netloc}
