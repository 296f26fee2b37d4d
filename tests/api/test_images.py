"""Images in notes, through this server: what is signed, what is answered, and who may ask."""

import re

import pytest

from harken.protocols.api.app import create_app
from tests.api.conftest import client_of
from tests.support.images import SVG, png
from tests.support.web import Answer, web


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    pages = {"/a.png": Answer(png(), headers={"Content-Type": "image/svg+xml"}),
             "/x.svg": Answer(SVG, headers={"Content-Type": "image/png"})}  # fmt: skip
    with web(pages) as served:
        yield served


@pytest.fixture
def settings(database_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_PRIVATE_SOURCES", "127.0.0.1")
    return monkeypatch.setenv


async def images_of(client, content, headers=None):
    """Add a note, and return the addresses of the images on its page."""
    note = {"title": "A note", "content": content}
    assert (await client.put("/api/kblocks/n", json=note, headers=headers)).status_code < 300
    page = (await client.get("/kblock?id=n", headers=headers)).text
    return re.findall(r'<img [^>]*src="(/[^"]+)"', page)


async def test_an_image_of_a_note_is_served_from_here(settings, site):
    settings("HARKEN_IMAGE_PROXY", "true")
    async with client_of(create_app()) as client:
        [at] = await images_of(client, f"Text.\n\n![a map]({site.url}/a.png?x=1&y)")
        assert at.startswith("/image/")
        assert site.asked == []  # not before somebody looks at it
        site.pages["/a.png?x=1&y"] = site.pages["/a.png"]
        answer = await client.get(at)
        assert (answer.status_code, answer.content) == (200, png())
        headers = answer.headers
        assert headers["content-type"] == "image/png"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-disposition"] == 'inline; filename="image.png"'
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "sandbox" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "private, max-age=86400"
        known = await client.get(at, headers={"If-None-Match": headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
        assert site.paths == ["/a.png?x=1&y"]


async def test_what_was_not_signed_is_not_fetched(settings, site):
    settings("HARKEN_IMAGE_PROXY", "true")
    async with client_of(create_app()) as client:
        [at] = await images_of(client, f"![]({site.url}/a.png)")
        body, _dot, signature = at.rpartition(".")
        for other in (
            f"{body}x.{signature}", f"{body}.{signature[:-1]}", f"/image/{site.url}/a.png",
            "/image/x",
        ):  # fmt: skip
            answer = await client.get(other)
            assert answer.status_code == 404, other
        assert site.asked == []


async def test_what_is_no_image_is_an_error_that_no_cache_keeps(settings, site):
    settings("HARKEN_IMAGE_PROXY", "true")
    async with client_of(create_app()) as client:
        for name in ("x.svg", "gone.png"):
            [at] = await images_of(client, f"![]({site.url}/{name})")
            answer = await client.get(at)
            assert answer.status_code == 502
            assert answer.headers["content-type"] == "application/problem+json"
            assert "no-store" in answer.headers["cache-control"]


async def test_another_process_of_the_database_serves_what_one_signed(settings, site):
    settings("HARKEN_IMAGE_PROXY", "true")
    async with client_of(create_app()) as client:
        [at] = await images_of(client, f"![]({site.url}/a.png)")
    async with client_of(create_app()) as other:
        assert (await other.get(at)).status_code == 200


async def test_by_default_pictures_are_links_and_nothing_is_fetched(settings, site):
    async with client_of(create_app()) as client:
        assert await images_of(client, f"![a map]({site.url}/a.png)") == []
        page = (await client.get("/kblock?id=n")).text
        assert "[Picture: a map]" in page
        answer = await client.get("/image/x")
        assert answer.status_code == 404
        assert "HARKEN_IMAGE_PROXY" in answer.json()["detail"]


async def test_with_keys_an_image_needs_its_signature_alone(settings, site):
    settings("HARKEN_IMAGE_PROXY", "true")
    settings("HARKEN_API_KEYS", "of the operator")
    settings("HARKEN_ROOT_PATH", "/harken")
    key = {"X-API-Key": "of the operator"}
    async with client_of(create_app()) as client:
        [at] = await images_of(client, f"![]({site.url}/a.png)", key)
        assert (await client.get("/kblock?id=n")).text.count("<img") == 0
        # An element of a page sends no key.
        assert (await client.get(at.removeprefix("/harken"))).status_code == 200
        assert (await client.get("/image/x")).status_code == 404
