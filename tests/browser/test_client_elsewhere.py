"""The browser client on a page of another origin, with a key."""

import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harken.config import Settings
from harken.services.access.user_tokens import UserTokens
from tests.browser.reading import FILES, visit
from tests.support.waiting import until

KEY = "k-browser"
SECRET = "a secret of more than thirty-two bytes"


class Site(BaseHTTPRequestHandler):
    """A server of the page at another origin."""

    def do_GET(self):
        file, kind = FILES[self.path]
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_said):
        pass


@pytest.fixture
def site():
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


@pytest.fixture
def settings(site):
    return {
        "HARKEN_API_KEYS": KEY, "HARKEN_CORS_ORIGINS": site, "HARKEN_TOKEN_SECRET": SECRET,
    }  # fmt: skip


async def test_events_views_and_undoing_work_across_origins(site, page, server, log, problems):
    await visit(page, site, ["note-01"], baseUrl=server, apiKey=KEY)
    await page.evaluate("client.record({kblock_id: 'note-02', action: 'dismiss'})")
    await page.evaluate("client.undismiss('note-02')")
    await page.wait_for_function("() => localStorage.length")  # a view has begun
    await page.close()
    rows = await until(lambda: len(log()) == 2 and log())
    assert {row["kblock_id"]: row["action"] for row in rows} == {
        "note-01": "view", "note-02": "dismiss",
    }  # fmt: skip
    assert problems == []


async def test_a_signed_in_reader_needs_no_key(site, page, server, log, problems):
    """Views that run when the page is left are sent with the token, too."""
    token = UserTokens.of(Settings(token_secret=SECRET)).sign("ada", timedelta(minutes=5))
    await visit(page, site, ["note-01"], baseUrl=server, userToken=token)
    await page.evaluate("client.record({kblock_id: 'note-02', action: 'dismiss'})")
    await page.wait_for_function("() => localStorage.length")  # a view has begun
    await page.close()
    rows = await until(lambda: len(log()) == 2 and log())
    assert {row["user_id"] for row in rows} == {"ada"}
    assert problems == []


async def test_a_wrong_key_is_told_to_the_page(site, page, server, log):
    await visit(page, site, [], baseUrl=server, apiKey="k-other")
    event = "{kblock_id: 'note-02', action: 'engage'}"
    problem = await page.evaluate(f"client.record({event}).catch(problem => problem)")
    assert problem["status"] == 401
    assert [each["problem"] for each in await page.evaluate("refused")] == [problem]
    assert log() == []
