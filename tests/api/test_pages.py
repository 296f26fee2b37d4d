"""Pages and static files: headers, keys, caches, and errors for people."""

import re

import pytest

from harken.protocols.api.app import create_app
from harken.protocols.pages.files import StaticFiles, VendorFile
from tests.api.conftest import client_of

SECRET = "nobody may read this without a key"


async def test_pages_keep_everything_on_this_machine(client):
    page = await client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert not re.findall(r"\sstyle=|<style|\son\w+=|<script(?![^>]*\ssrc=)", page.text)
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert not [each for each in addresses if not each.startswith(("/", "#"))]


async def test_an_unknown_feed_is_a_page_that_says_which_there_are(client):
    page = await client.get("/", params={"feed": "<b>cosmso</b>"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "known are cosmos, coherent" in page.text
    assert "&lt;b&gt;cosmso" in page.text
    assert "<b>cosmso" not in page.text


async def test_static_files_with_a_digest_are_kept_and_others_asked_for_again(client):
    [address] = re.findall(r'href="([^"]+base\.css)"', (await client.get("/")).text)
    kept = await client.get(address)
    assert kept.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in kept.headers["cache-control"]
    plain = await client.get("/static/css/base.css")
    assert plain.content == kept.content
    assert plain.headers["cache-control"] == "no-cache"
    known = {"If-None-Match": f'"other", W/{plain.headers["etag"]}'}
    again = await client.get("/static/css/base.css", headers=known)
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == plain.headers["etag"]


@pytest.mark.parametrize(
    "path", ["nothing.js", "../page.py", "%2e%2e/page.py", "v-0/css/base.css", ""]
)
async def test_nothing_but_static_files_is_under_static(client, path):
    assert (await client.get(f"/static/{path}")).status_code == 404


def test_files_of_installed_packages_are_served_by_name():
    files = StaticFiles([
        VendorFile("jinja.txt", "jinja2", "jinja2/py.typed"),
        VendorFile("absent.js", "no-such-distribution", "absent.js"),
    ])  # fmt: skip
    assert re.fullmatch(r"/static/v-\w{16}/vendor/jinja\.txt", files.address("vendor/jinja.txt"))
    with pytest.raises(LookupError, match=r"absent\.js"):
        files.address("vendor/absent.js")


@pytest.fixture
async def guarded(database_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_API_KEYS", "sesame")
    async with client_of(create_app(), "http://harken.example") as opened:
        key = {"X-API-Key": "sesame"}
        put = await opened.put("/api/kblocks/k", json={"title": SECRET}, headers=key)
        assert put.status_code == 201
        yield opened


async def test_with_keys_a_page_comes_without_data_and_asks_for_one(guarded):
    for none in ({}, {"X-API-Key": ""}, {"Authorization": "Basic x"}):
        page = await guarded.get("/", headers=none)
        assert page.status_code == 200
        assert 'type="password"' in page.text
        assert SECRET not in page.text
        [script] = re.findall(r'<script type="module" src="([^"]+)"', page.text)
        assert (await guarded.get(script)).status_code == 200
    assert (await guarded.get("/", headers={"X-API-Key": "guess"})).status_code == 401
    assert (await guarded.get("/healthz", headers={"X-API-Key": "guess"})).status_code == 200
    with_key = await guarded.get("/", headers={"X-API-Key": "sesame"})
    assert SECRET in with_key.text
    # A cached page of one user must not be shown to another.
    assert with_key.headers["cache-control"].startswith("private")
    assert "X-API-Key" in with_key.headers["vary"]


async def test_with_keys_an_error_of_a_page_tells_nothing_either(guarded):
    page = await guarded.get("/", params={"feed": "nowhere"})
    assert page.status_code == 200
    assert "known are" not in page.text


@pytest.mark.parametrize("path", ["/?", "/static", "/statics", "/reader/cards", "/api"])
async def test_only_pages_and_static_files_are_open(guarded, path):
    answer = await guarded.get(path)
    assert SECRET not in answer.text
    assert answer.status_code == (200 if path == "/?" else 401)


async def test_a_notice_stands_on_every_page_as_text(database_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_NOTICE", "Readers are <b>simulated</b>.")
    async with client_of(create_app()) as client:
        for path in ("/", "/dashboard", "/docs"):
            page = (await client.get(path)).text
            assert "Readers are &lt;b&gt;simulated&lt;/b&gt;." in page
