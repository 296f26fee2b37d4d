"""What is made of feeds."""

import gzip
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harken.domain.kblock import KBlock
from harken.errors import InvalidInput
from harken.services.kblocks.importers.rss import feeds
from harken.services.kblocks.importers.run import ImportFailure, ImportItem
from harken.services.kblocks.importers.syndication.fetching import Fetcher
from tests.support.web import Answer, moved, web

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


def read(path: Path | str) -> tuple[list[KBlock], dict[str, str]]:
    units = [unit for feed in feeds(path) for unit in feed]
    found = [unit.kblock for unit in units if isinstance(unit, ImportItem)]
    return found, {unit.where: unit.reason for unit in units if isinstance(unit, ImportFailure)}


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


@pytest.fixture
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def opml_of(*addresses: str) -> str:
    body = "".join(f'<outline type="rss" xmlUrl="{each}"/>' for each in addresses)
    return (
        f'<?xml version="1.0"?><opml version="2.0"><body><outline text="Group">{body}'
        "</outline></body></opml>"
    )


def test_the_feeds_of_an_opml_file(tmp_path, no_proxy):
    """Those that cannot be had are failures, and the others are read."""
    saved(tmp_path / "feeds" / "local file.xml", ATOM.replace("urn:feed", "urn:local"))
    with web({"/atom": Answer(ATOM.encode()), "/moved": moved("/atom")}) as served:
        url = served.url
        served.pages["/ftp"] = moved("ftp://127.0.0.1/x")
        outlines = [
            f"{url}/moved", "feeds/local file.xml", f"{url}/moved", f"{url}/none", f"{url}/ftp",
            "feeds/none.xml", "http://127.0.0.1:1/closed", "../elsewhere.xml", "/etc/passwd",
            "file:///etc/passwd", url.replace("http:", "feed:") + "/atom",
        ]  # fmt: skip
        path = saved(tmp_path / "list.opml", opml_of(*outlines))
        assert [feed.name for feed in feeds(path)][:2] == [
            f"rss:{url}/moved", "rss:local file.xml",
        ]  # fmt: skip
        found, failed = read(path)
    assert len(found) == 3
    reasons = {where.removeprefix(url): reason for where, reason in failed.items()}
    assert reasons.pop("http://127.0.0.1:1/closed").startswith("cannot be fetched: ")
    leads_out = "leads out of the folder of the OPML file, and is not read; import it by itself"
    assert reasons == {
        "/none": "cannot be fetched: 404 Not Found",
        "/ftp": "cannot be fetched: it is redirected to an address that is not http or https",
        str(tmp_path / "feeds/none.xml"): "cannot be read: No such file or directory",
        str(tmp_path / "../elsewhere.xml"): leads_out,
        "/etc/passwd": leads_out,
    }


def test_a_feed_by_its_url_and_gzipped_ones_of_a_list(tmp_path, no_proxy):
    packed = Answer(gzip.compress(ATOM.encode()), headers={"Content-Encoding": "gzip"})
    with web({"/gz": packed, "/plain": Answer(ATOM.encode())}) as served:
        found, failed = read(f"{served.url}/gz")
        assert (len(found), failed) == (1, {})
        path = saved(tmp_path / "list.opml", opml_of(f"{served.url}/gz", f"{served.url}/plain"))
        found, failed = read(path)
        assert (len(found), failed) == (2, {})
        assert found[0].id != found[1].id


def test_a_list_from_the_web_leads_to_no_private_address_and_no_file(tmp_path, no_proxy):
    secret = saved(tmp_path / "secret.xml", ATOM)
    with web({"/feed": Answer(ATOM.encode())}) as served:
        outlines = [f"{served.url}/feed", "feed", f"file://{secret}", "ftp://x.example/"]
        served.pages["/list"] = Answer(opml_of(*outlines).encode())
        found, failed = read(f"{served.url}/list")
        assert (found, served.paths) == ([], ["/list"])
        assert "is not a public address" in failed[f"{served.url}/feed"]
        assert "ftp://x.example/" in failed[f"{served.url}/list"]
        units = [
            u for feed in feeds(f"{served.url}/list", Fetcher(allow_private=True)) for u in feed
        ]
        assert len([unit for unit in units if isinstance(unit, ImportItem)]) == 1


def test_the_charset_of_an_answer_counts(no_proxy):
    text = RSS.replace('encoding="UTF-8"', "").replace("Long", "Žluťoučký").encode("iso-8859-2")
    headers = {"Content-Type": "application/rss+xml; charset=iso-8859-2"}
    with web({"/": Answer(text, headers=headers)}) as served:
        found, _ = read(f"{served.url}/")
    assert found[2].title == "Žluťoučký"


def test_a_web_page_says_where_its_feed_is(no_proxy):
    page = b"""<!doctype html><html><head>
        <link rel="alternate" type="application/rss+xml" href="/feed.xml"></head></html>"""
    with web({"/": Answer(page)}) as served:
        _, failed = read(f"{served.url}/")
        assert failed == {
            f"{served.url}/": "must be a feed, RSS or Atom; this is a web page; its feed is at "
            f"{served.url}/feed.xml"
        }


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
