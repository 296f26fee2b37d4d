"""What is made of feeds."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from harken.domain.kblock import KBlock
from harken.errors import InvalidInput
from harken.services.kblocks import opml
from harken.services.kblocks.importing import Failure, Found
from harken.services.kblocks.rss import feeds

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
     xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>News</title><link>https://example.org/</link>
<item><title>One &amp;amp; &lt;b&gt;only&lt;/b&gt;</title><link>https://example.org/1</link>
  <guid isPermaLink="false">g1</guid><dc:creator>Ada</dc:creator>
  <category>joy</category><category> </category><category>ethics</category>
  <pubDate>Thu, 25 Dec 2025 10:30:00 +0200</pubDate>
  <description>Short.</description>
  <content:encoded><![CDATA[Full <b onclick="x()">text</b><script>alert(1)</script>
    <a href="javascript:x">bad</a> <img src="https://example.org/i.png">]]></content:encoded></item>
<item><link>javascript:alert(1)</link>
  <description>&lt;p&gt;Only a summary.&lt;/p&gt;</description></item>
<item><title>Long</title><guid>g3</guid><author>NAME</author><category>TAG</category></item>
</channel></rss>
""".replace("NAME", "n" * 100).replace("TAG", "t" * 100)

ATOM = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:feed</id><title>Atoms</title>
<entry><id>urn:1</id><title>a &lt; b &amp; c</title><link href="https://example.org/a"/>
  <author><name>Bob</name></author><updated>2026-01-01T00:00:00Z</updated>
  <content type="text">1 &lt; 2</content></entry>
</feed>
"""

BOMB = """<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<rss><channel>&b;</channel></rss>"""


def read(path: Path) -> tuple[list[KBlock], dict[str, str]]:
    units = [unit for feed in feeds(path) for unit in feed]
    found = [unit.kblock for unit in units if isinstance(unit, Found)]
    return found, {unit.where: unit.reason for unit in units if isinstance(unit, Failure)}


def saved(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_articles_of_rss(tmp_path):
    (first, second, third), failed = read(saved(tmp_path / "news.xml", RSS))
    assert failed == {}
    assert first.title == "One & only"
    assert (first.kind, first.author, first.tags) == ("article", "Ada", ("joy", "ethics"))
    assert first.path == "https://example.org/1"
    assert first.created_at == datetime(2025, 12, 25, 8, 30, tzinfo=UTC)
    assert first.content.startswith("<div>Full <b>text</b>")
    assert "script" not in first.content
    assert "alert" not in first.content
    assert '<img src="https://example.org/i.png">' in first.content
    assert (second.title, second.path) == ("Only a summary.", None)
    assert second.content == "<p>Only a summary.</p>"
    assert (third.author, third.tags) == ("n" * 64, ("t" * 64,))
    assert third.created_at is None
    assert len({first.id, second.id, third.id}) == 3


def test_articles_of_atom(tmp_path):
    [article], failed = read(saved(tmp_path / "feed.atom", ATOM))
    assert failed == {}
    assert (article.title, article.author, article.path) == (
        "a < b & c", "Bob", "https://example.org/a",
    )  # fmt: skip
    assert article.content == "<div>1 &lt; 2</div>"
    assert article.created_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_ids_stay_when_a_feed_moves_or_an_article_changes(tmp_path):
    [before], _ = read(saved(tmp_path / "feed.atom", ATOM))
    [after], _ = read(saved(tmp_path / "moved.xml", ATOM.replace("a &lt; b", "changed")))
    [other], _ = read(saved(tmp_path / "other.xml", ATOM.replace("urn:feed", "urn:other")))
    assert before.id == after.id != other.id


@pytest.mark.parametrize(
    ("content", "count", "reason"),
    [
        (BOMB, 0, "declares entities (<!ENTITY)"),
        (BOMB.encode("utf-16"), 0, "declares entities (<!ENTITY)"),
        ("just text", 0, "must be a feed, RSS or Atom"),
        ("<html><body>no</body></html>", 0, "must be a feed, RSS or Atom"),
        ("", 0, "must be a feed, RSS or Atom"),
        (RSS.split("<item><title>Long")[0], 2, "is not well-formed XML; 2 entries could be read"),
    ],
)
def test_what_is_wrong_with_a_feed_is_said(tmp_path, content, count, reason):
    path = saved(tmp_path / "feed.xml", content)
    found, failed = read(path)
    assert len(found) == count
    assert list(failed) == [str(path)]
    assert failed[str(path)].startswith(reason)


def test_an_article_that_is_too_large(tmp_path):
    large = ATOM.replace("1 &lt; 2", "x" * (1024 * 1024))
    path = saved(tmp_path / "feed.xml", large)
    assert read(path) == (
        [], {f"{path}, entry 1": "content: takes 1048587 bytes; at most 1048576 are kept"}
    )  # fmt: skip


def test_a_huge_feed_is_not_read(tmp_path):
    path = saved(tmp_path / "feed.xml", RSS)
    os.truncate(path, 50 * 1024 * 1024)
    found, failed = read(path)
    assert found == []
    assert failed[str(path)].startswith("takes more than 16777216 bytes")


def test_a_folder_of_feeds(tmp_path):
    saved(tmp_path / "a.xml", ATOM)
    saved(tmp_path / "b" / "c.rss", RSS)
    saved(tmp_path / ".hidden" / "d.xml", "no feed")
    saved(tmp_path / "readme.txt", "no feed")
    found, failed = read(tmp_path)
    assert (len(found), failed) == (4, {})
    assert [feed.name for feed in feeds(tmp_path)] == ["rss:a.xml", "rss:c.rss"]
    with pytest.raises(InvalidInput, match=r"path: .*No such file"):
        read(tmp_path / "nothing")


@contextmanager
def web(pages: dict[str, Any]) -> Iterator[str]:
    """Serve some pages; a text that begins with a slash or a scheme is a redirection."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            self.send_response(200 if isinstance(page, bytes) else 302 if page else 404)
            if isinstance(page, str):
                self.send_header("Location", page)
            self.end_headers()
            if isinstance(page, bytes):
                self.wfile.write(page)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_feeds_of_an_opml_file(tmp_path, monkeypatch):
    """Those that cannot be had are failures, and the others are read."""
    monkeypatch.setenv("no_proxy", "*")
    saved(tmp_path / "feeds" / "local file.xml", ATOM.replace("urn:feed", "urn:local"))
    pages = {"/atom": ATOM.encode(), "/moved": "/atom", "/ftp": "ftp://127.0.0.1/x"}
    with web(pages) as url:
        outlines = [
            f"{url}/moved", "feeds/local file.xml", f"{url}/moved", f"{url}/none", f"{url}/ftp",
            "feeds/none.xml", "http://127.0.0.1:1/closed",
        ]  # fmt: skip
        body = "".join(f'<outline type="rss" xmlUrl="{each}"/>' for each in outlines)
        path = saved(
            tmp_path / "list.opml",
            f'<?xml version="1.0"?><opml version="2.0"><body><outline text="Group">{body}'
            "</outline></body></opml>",
        )
        assert [feed.name for feed in feeds(path)][:2] == [
            f"rss:{url}/moved", "rss:local file.xml",
        ]  # fmt: skip
        found, failed = read(path)
    assert len(found) == 2
    reasons = {where.removeprefix(url): reason for where, reason in failed.items()}
    assert reasons.pop("http://127.0.0.1:1/closed").startswith("cannot be fetched: ")
    assert reasons.pop("/ftp").startswith("cannot be fetched: HTTP Error 302")
    assert reasons == {
        "/none": "cannot be fetched: HTTP Error 404: Not Found",
        str(tmp_path / "feeds/none.xml"): "cannot be read: No such file or directory",
    }


def test_a_feed_on_the_web_may_not_be_huge(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(opml, "MAX_BYTES", 1_000)
    too_large = pytest.raises(InvalidInput, match="takes more than 1000 bytes")
    with web({"/": b"x" * 2_000}) as url, too_large:
        opml.read(f"{url}/")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<opml><body><outline", "is not well-formed XML"),
        (BOMB.replace("rss", "opml"), "declares entities"),
    ],
)
def test_an_opml_file_that_cannot_be_read(tmp_path, content, reason):
    path = saved(tmp_path / "list.opml", content)
    found, failed = read(path)
    assert found == []
    assert failed[str(path)].startswith(reason)
