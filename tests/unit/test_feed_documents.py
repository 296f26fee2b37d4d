"""What kind of document something is, and texts as they come in the wild."""

import json
import re
from html import escape
from pathlib import Path
from xml.sax.saxutils import escape as escaped

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harken.domain.kblock import KBlock
from harken.errors import InvalidInput
from harken.services.kblocks.importers.rss import MOST_REMARKS, Feed, feeds
from harken.services.kblocks.importers.run import ImportFailure, ImportItem
from harken.services.kblocks.importers.syndication.documents import Kind, WebPage, prepared
from harken.services.kblocks.importers.syndication.fetching import Document


def feed_of(path: Path, content: str | bytes) -> Feed:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    [feed] = feeds(path)
    return feed


def articles(path: Path, content: str | bytes) -> list[KBlock]:
    """Read a feed of which nothing is refused."""
    units = list(feed_of(path, content))
    assert [unit for unit in units if isinstance(unit, ImportFailure)] == []
    return [unit.kblock for unit in units if isinstance(unit, ImportItem)]


def rss(inner: str, head: str = '<?xml version="1.0"?>') -> str:
    return (
        f'{head}<rss version="2.0"><channel><title>E</title><link>https://e.example/blog/</link>'
        f"{inner}</channel></rss>"
    )


ITEM = "<item><title>Café “quoted”</title><guid>1</guid></item>"


@pytest.mark.parametrize(
    "content",
    [
        rss(ITEM).encode(),
        rss(ITEM, '<?xml version="1.0" encoding="UTF-8"?>').encode("cp1252"),
        rss(ITEM, '<?xml version="1.0" encoding="windows-1252"?>').encode("cp1252"),
        rss(ITEM, '<?xml version="1.0" encoding="no-such"?>').encode(),
        rss(ITEM, '<?xml version="1.0" encoding="utf-7"?>').encode(),
        rss(ITEM, '<?xml version="1.0" encoding="utf-16"?>').encode(),
        rss(ITEM, '<?xml version="1.0" encoding="hex"?>').encode(),
        rss(ITEM, '\n\n<?xml version="1.0" encoding="UTF-8"?>').encode(),
        rss(ITEM, "").encode("utf-8-sig"),
        rss(ITEM, '<?xml version="1.0" encoding="utf-16"?>').encode("utf-16"),
        rss(ITEM, "").encode("utf-16-le"),
        rss(ITEM, "").encode("utf-16-be"),
        rss(ITEM, "").encode("utf-32"),
        rss(ITEM, "<b>Warning</b>: include() failed\n<?xml version='1.0'?>").encode(),
        rss(ITEM.replace("Café", "Caf&eacute;"), "").encode(),
        rss(ITEM.replace("Café", "Caf\x08é\x00"), "").encode(),
    ],
)
def test_encodings_and_what_stands_before_a_feed(tmp_path, content):
    [article] = articles(tmp_path / "f.xml", content)
    assert article.title == "Café “quoted”"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("a & b && c &; &x &nosuch;", "a & b && c &; &x &nosuch;"),
        ("a&nbsp;b &copy; &#8364; &#x20ac; &#128; &hellip;", "a b © € € € …"),
        ("&#0;&#x1F;&#xD800;&#99999999999; x", None),
        ("<![CDATA[How <!ENTITY declarations & <opml> go wrong]]>", "How"),
        ("<![CDATA[a]]><![CDATA[b]]>", "ab"),
        ("<!-- <!ENTITY x 'y'> <opml> -->x", "x"),
        ("<![CDATA[ <![CDATA[ ]]> x", None),
    ],
)
def test_texts_that_xml_would_refuse(tmp_path, text, title):
    [article] = articles(
        tmp_path / "f.xml", rss(f"<item><title>{text}</title><guid>1</guid></item>")
    )
    if title is not None:
        assert article.title.startswith(title)


ENTITIES = '[<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;">]'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize(
    "prolog",
    [
        f"<!DOCTYPE rss {ENTITIES}>",
        f"<!-- <rss> --><?p <rss> ?>\n<!DOCTYPE rss {ENTITIES}>",
        '<!DOCTYPE rss SYSTEM "x.dtd" [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>',
        '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_entities_are_refused_where_they_are_declared(prolog, encoding):
    content = f"{prolog}{rss('<item><title>&b;&x;</title></item>', '')}".encode(encoding)
    with pytest.raises(InvalidInput, match=r"declares entities \(<!ENTITY\)"):
        prepared(Document(content))


@pytest.mark.parametrize("encoding", ["utf-7", "cp037", "utf-16-be", "unicode_escape", "punycode"])
def test_an_encoding_hides_no_entities(tmp_path, encoding):
    """What the check reads is what the parser reads."""
    bomb = f"<!DOCTYPE rss {ENTITIES}>{rss('<item><title>&b;</title></item>', '')}"
    head = f'<?xml version="1.0" encoding="{encoding}"?>'.encode()
    for content in (bomb.encode(encoding), head + bomb.encode(encoding)):
        for unit in feed_of(tmp_path / "f.xml", content):
            assert isinstance(unit, ImportFailure) or "aaaa" not in unit.kblock.title


def test_a_document_type_without_entities_is_harmless(tmp_path):
    """As that of RSS 0.91, which nothing is fetched for."""
    prolog = '<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://127.0.0.1:1/rss.dtd">'
    assert len(articles(tmp_path / "f.xml", rss(ITEM, prolog))) == 1


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (rss("<item><title>The opml word: &lt;opml&gt;</title></item>"), Kind.XML),
        (rss("<!-- <opml> --><description><![CDATA[<opml>]]></description>"), Kind.XML),
        ("<!-- <rss> --><OPML><body/></OPML>", Kind.OPML),
        (f"<!-- {'x' * 10_000} --><opml/>", Kind.OPML),
        ("  {}", Kind.JSON),
    ],
)
def test_the_outermost_element_tells_what_a_document_is(content, kind):
    assert prepared(Document(content.encode())).kind is kind


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "must be a feed, RSS or Atom; the document is empty"),
        (" \n", "must be a feed, RSS or Atom; the document is empty"),
        ("no feed", "must be a feed, RSS or Atom"),
        ("<svg/>", "must be a feed, RSS or Atom"),
        ("<!doctype html><p>x", "must be a feed, RSS or Atom; this is a web page"),
        ("{", "must be a feed; as a JSON Feed: "),
        ("[" * 100_000, "is nested too deeply"),
        ("{}", "must be a feed; a JSON Feed has a version"),
        ('{"version": "https://jsonfeed.org/version/1", "items": {}}', "items: must be a list"),
        ("\x1f\x8bnothing", "cannot be read: its compressed text cannot be read"),
    ],
)
def test_what_is_no_feed(tmp_path, content, reason):
    [unit] = feed_of(tmp_path / "f.xml", content.encode("latin-1"))
    assert isinstance(unit, ImportFailure)
    assert unit.reason.startswith(reason)


def test_links_are_resolved(tmp_path):
    inner = """<item><title>Relative</title><link>/blog/1.html</link>
        <guid isPermaLink="false">r1</guid><description>&lt;p&gt;See &lt;a href="2.html"&gt;two
        &lt;/a&gt; &lt;img src="pic.png"&gt; &lt;a href="javascript:x"&gt;no&lt;/a&gt;
        &lt;a href="//cdn.example/x"&gt;x&lt;/a&gt;</description></item>
        <item><title>Number</title><guid>17</guid></item>
        <item><title>Guid</title><guid>https://e.example/3</guid></item>"""
    first, second, third = articles(tmp_path / "f.xml", rss(inner))
    assert first.path == "https://e.example/blog/1.html"
    assert re.findall(r'(?:href|src)="([^"]*)"', first.content) == [
        "https://e.example/blog/2.html", "https://e.example/blog/pic.png",
        "https://cdn.example/x",
    ]  # fmt: skip
    assert (second.path, third.path) == (None, "https://e.example/3")
    atom = """<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://base.example/dir/">
        <title>A</title><entry><id>urn:1</id><title>t</title><link href="post.html"/>
        <content type="html" xml:base="sub/">&lt;a href="x.html"&gt;x&lt;/a&gt;</content>
        </entry></feed>"""
    [article] = articles(tmp_path / "f.xml", atom)
    assert article.path == "https://base.example/dir/post.html"
    assert 'href="https://base.example/dir/sub/x.html"' in article.content


def test_enclosures_are_kept_as_links(tmp_path):
    inner = """<item><title>Episode</title><guid isPermaLink="false">e1</guid>
        <description>Sum</description>
        <enclosure url="1%20a.mp3" type="audio/mpeg"/><enclosure url="file:///x"/>
        <enclosure url="https://e.example/&quot;&gt;&lt;script&gt;.mp3"/></item>"""
    [article] = articles(tmp_path / "f.xml", rss(inner))
    assert 'href="https://e.example/blog/1%20a.mp3"' in article.content
    assert ">1 a.mp3</a> (audio/mpeg)" in article.content
    assert article.content.count("href=") == 2
    assert "<script" not in article.content


def test_of_several_authors_the_first_counts_and_no_type_is_none(tmp_path):
    atom = """<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:f</id><title>Blog</title>
        <entry><id>1</id><title>a</title><link rel="enclosure" href="https://e.example/e.mp3"/>
        <author><email>e@e.example</email></author><author><name>Ann</name></author>
        <author><name>Bob</name></author></entry></feed>"""
    [article] = articles(tmp_path / "f.xml", atom)
    assert article.author == "Ann"
    assert ">e.mp3</a></li></ul>" in article.content


def test_dates_of_a_json_feed_may_be_numbers(tmp_path):
    dates = [1704103200, 1704103200.0, 1704103200000, 0, -62135596800, 10**300, True]
    items = [{"id": f"{n}", "title": f"{n}", "date_published": at} for n, at in enumerate(dates)]
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": "J", "items": items}
    found = list(feed_of(tmp_path / "f.json", json.dumps(feed)))
    units = [unit for unit in found if isinstance(unit, ImportItem)]
    assert {str(unit.kblock.created_at) for unit in units[:3]} == {"2024-01-01 10:00:00+00:00"}
    assert all(unit.kblock.created_at is None for unit in units[3:])


def test_a_json_feed(tmp_path):
    feed = {
        "version": "https://jsonfeed.org/version/1.1", "title": "J\u0000",
        "home_page_url": "https://j.example/",
        "items": [
            {"id": 1, "url": "one", "content_html": '<p>Hi <a href="x">x</a>', "tags": ["a", 3],
             "title": "One\ud800", "date_published": "2024-01-01T10:00:00Z",
             "authors": [{"name": "Ann"}],
             "attachments": [{"url": "https://j.example/1.mp3", "mime_type": "audio/mpeg"}]},
            {"id": "2", "content_text": "1 < 2\nx", "author": {"name": "Old"}},
            {"id": "3", "summary": "short"},
            {"id": "4", "title": ["x"], "content_html": 7, "tags": "t", "authors": {}, "url": {}},
            17,
        ],
    }  # fmt: skip
    units = list(feed_of(tmp_path / "f.json", json.dumps(feed)))
    first, second, third = [unit.kblock for unit in units if isinstance(unit, ImportItem)][:3]
    assert (first.title, first.author, first.tags) == ("One", "Ann", ("a",))
    assert (first.path, str(first.created_at)) == (
        "https://j.example/one", "2024-01-01 10:00:00+00:00",
    )  # fmt: skip
    assert "https://j.example/1.mp3" in first.content
    assert 'href="https://j.example/x"' in first.content
    assert second.content == "<div>1 &lt; 2<br>\nx</div>"
    assert (second.author, third.author, third.title) == ("Old", "J", "short")
    assert len(units) == 5
    assert [unit.where for unit in units if isinstance(unit, ImportFailure)] == [
        f"{tmp_path / 'f.json'}, entry 5"
    ]


@pytest.mark.parametrize(
    ("html", "is_read"),
    [
        ("<div>" * 200_000, False),
        ("<div>" * 30_000 + "</div>" * 30_000, False),
        ("<ul><li></x>" * 20_000, False),
        ("<p>x<br>" * 20_000, True),
        ("<div>x</div>" * 20_000, True),
    ],
)
def test_tags_that_nest_too_deeply_are_refused(tmp_path, html, is_read):
    """Making them safe takes time that grows with the square of their depth."""
    inner = f"<item><title>x</title><description>{escape(html)}</description></item>"
    [unit] = feed_of(tmp_path / "f.xml", rss(inner))
    assert isinstance(unit, ImportItem) is is_read
    if isinstance(unit, ImportFailure):
        assert unit.reason == "content: nests more than 2000 tags"


def test_the_source_is_the_author_where_no_other_is_named(tmp_path):
    atom = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Planet</title>
        <entry><id>1</id><title>a</title><author><name>Ann</name></author></entry>
        <entry><id>2</id><title>b</title><source><title>Blog</title></source></entry>
        <entry><id>3</id><title>c</title></entry></feed>"""
    authors = [each.author for each in articles(tmp_path / "f.xml", atom)]
    assert authors == ["Ann", "Blog", "Planet"]


def test_what_is_cut_is_remarked_and_remarks_are_bounded(tmp_path):
    tags = "".join(f"<category>c{n}</category>" for n in range(70))
    inner = f"<item><title>x</title><category>{'t' * 90}</category>{tags}</item>"
    feed = feed_of(
        tmp_path / "f.xml", rss(inner + "<item><title>x</title><pubDate>?</pubDate></item>" * 50)
    )
    units = list(feed)
    assert all(isinstance(unit, ImportItem) for unit in units)
    assert "has 71 tags; the first 64 are kept" in feed.remarks[0]
    assert "is cut to 64 characters" in feed.remarks[1]
    assert len(feed.remarks) == MOST_REMARKS + 1
    assert feed.remarks[-1].endswith("… and 32 more remarks")


def test_entries_with_very_many_categories_are_read(tmp_path):
    """In a time that grows with their number, and not with its square; the next entry too."""
    many = "".join(f"<category>c{n}</category>" for n in range(20_000))
    inner = (
        f"<item><title>x</title>{many}</item><item><title>y</title><category>z</category>"
        f"<itunes:keywords>a, b,{'c,' * 50_000}</itunes:keywords></item>"
    )
    itunes = "http://www.itunes.com/dtds/podcast-1.0.dtd"
    content = rss(inner).replace("<channel>", f"<channel xmlns:itunes='{itunes}'>")
    first, second = articles(tmp_path / "f.xml", content)
    assert first.tags == tuple(f"c{n}" for n in range(64))
    assert second.tags[:3] == ("z", "a", "b")


def test_a_feed_with_very_many_namespaces_is_refused(tmp_path):
    """Each costs time for every element; the same ones may be declared again and again."""
    items = [f"<item xmlns:a{n}='urn:{n}'><title>x</title></item>" for n in range(600)]
    [unit] = feed_of(tmp_path / "f.xml", rss("".join(items)))
    assert isinstance(unit, ImportFailure)
    assert unit.reason == "declares more than 500 namespaces"
    assert len(articles(tmp_path / "f.xml", rss(items[0] * 600))) == 600


def damaged(entry: tuple[str, str, str, str]) -> str:
    title, guid, date, text = entry
    return (
        f"<item><title>{escaped(title)}</title><guid>{escaped(guid)}</guid><pubDate>{date}"
        f"</pubDate><description>{escape(text)}</description></item>"
    )


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
entries = st.tuples(words, words, st.sampled_from(["", "never", "2024-01-01", "9" * 12]), words)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(entries, max_size=8))
def test_every_entry_is_read_or_refused(tmp_path, found):
    units = list(feed_of(tmp_path / "f.xml", rss("".join(map(damaged, found)))))
    assert len(units) == len(found)
    for unit, (title, guid, _, text) in zip(units, found, strict=True):
        assert isinstance(unit, ImportItem) or not re.search(r"[^\W_]", title + guid + text)
    again = list(feed_of(tmp_path / "f.xml", rss("".join(map(damaged, found)))))
    ids = [unit.kblock.id for unit in units if isinstance(unit, ImportItem)]
    assert ids == [unit.kblock.id for unit in again if isinstance(unit, ImportItem)]


MARKUP = ["<", ">", "&", "<![CDATA[", "]]>", "<!--", "-->", "<?", "<!DOCTYPE rss [", "]>",
          "<!ENTITY a 'b'>", "&a;", "&#0;", "<rss>", "<item>", "<title>", "</item>", "\0", "x", '"',
          "<opml>", "<html>", "{", "</rss>", "\x1f\x8b", "<feed>", "xmlns='", "\ufffe", "<![if x]>",
          "<link rel=alternate type=rss href='//['>", "<base href='http://['>"]  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(MARKUP), max_size=25).map("".join),
    st.sampled_from(["utf-8", "utf-16", "latin-1"]),
)
def test_any_document_is_read_or_refused(tmp_path, text, encoding):
    path = tmp_path / "any.xml"
    path.write_bytes(text.encode(encoding, "replace"))
    for feed in feeds(path):
        for unit in feed:
            assert isinstance(unit, ImportItem | ImportFailure)


def test_a_web_page_names_its_feeds_whatever_else_is_in_it():
    page = b"""<!doctype html><html><![if x]><base href="/blog/"><link rel=alternate
    type=application/rss+xml href="http://["><link rel=alternate type=application/rss+xml
    href=feed.xml>"""
    with pytest.raises(WebPage) as found:
        prepared(Document(page, "https://site.example/"))
    assert found.value.feeds == ["http://[", "https://site.example/blog/feed.xml"]
