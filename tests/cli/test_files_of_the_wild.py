"""Files as other programs write them, from the command line to what a feed shows.

Each case says all that is right for it: what is kept, with which values, what is said of the rest,
and how the command ends.
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.log_files import HEADER, TEN, parquet
from tests.support.web import Answer, web

NOW = None  # the time of the import


def shown(harken: Callable[..., Any], feed: str = "cosmos") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = harken("feed", feed, "--limit", "100", "--json").json["items"]
    return items


class Feed(NamedTuple):
    """A feed's document: the titles in the order that is shown, and what stands in it."""

    document: bytes
    articles: dict[str, tuple[str | None, str | None]]
    """By title: the address and the time."""
    said: tuple[str, ...] = ()


def rss(
    items: str, link: str = "https://x.example/", declared: str = '<?xml version="1.0"?>'
) -> str:
    head = f"<title>X</title><link>{link}</link><description>d</description>"
    return f'{declared}<rss version="2.0"><channel>{head}{items}</channel></rss>'


def item(title: str, *, link: str = "", guid: str = "", at: str = "", rest: str = "") -> str:
    parts = {"title": title, "link": link, "guid": guid, "pubDate": at}
    inner = "".join(f"<{name}>{text}</{name}>" for name, text in parts.items() if text)
    return f"<item>{inner}{rest}</item>"


def releases(guid: str = "") -> str:
    return "".join(
        item(f"Release {n}", link="https://x.example/", guid=guid, at=f"0{n} Jan 2024 10:00:00 GMT")
        for n in (3, 2, 1)
    )


RELEASES: dict[str, tuple[str | None, str | None]] = {
    f"Release {n}": ("https://x.example/", f"2024-01-0{n}T10:00:00Z") for n in (3, 2, 1)
}  # fmt: skip
DATES = {
    "Mon, 01 Jan 2024 10:00:00 EST": "2024-01-01T15:00:00Z",
    "Mon, 01 Jan 2024 10:00:00 CET": "2024-01-01T09:00:00Z",
    "Mon, 01 Jan 2024 10:00:00 AEST": "2024-01-01T00:00:00Z",
    "Mon, 01 Jan 2024 10:00:00 JST": "2024-01-01T01:00:00Z",
    "2024-01-01T10:00:00+01:00": "2024-01-01T09:00:00Z",
    "2024-01-01 10:00:00": "2024-01-01T10:00:00Z",
    "Mon, 01 Jan 24 10:00:00 +0000": "2024-01-01T10:00:00Z",
    "Fri, 01 Jan 2024 10:00:00 +0000": "2024-01-01T10:00:00Z",
    "1704103200": "2024-01-01T10:00:00Z",
    "Mon, 01 Jan 2024 24:00:00 +0000": "2024-01-02T00:00:00Z",
    "Mon, 01 Jan 2024 23:59:60 +0000": "2024-01-02T00:00:00Z",
    "lun., 01 janv. 2024 10:00:00 +0100": NOW,
    "0000-00-00 00:00:00": NOW,
    "Mon, 01 Jan 0001 00:00:00 +0000": NOW,
    "Mon, 01 Jan 0001 00:00:00 +0500": NOW,
    "Mon, 01 Jan 200 00:00:00 GMT": NOW,
    "01/02/2024 10:00 AM": NOW,
    "Fri, 31 Dec 9999 23:59:59 GMT": NOW,
    "Fri, 31 Dec 12024 23:59:59 GMT": NOW,
}
UNREAD = tuple(f"'{text}' " for text, at in DATES.items() if at is NOW)

FEEDS = {
    "the same guid": Feed(rss(releases("https://x.example/#r")).encode(), RELEASES),
    "no guid and the same link": Feed(rss(releases()).encode(), RELEASES),
    "undated": Feed(
        rss("".join(item(t, link=f"/{t}") for t in ("Newest", "Middle", "Oldest"))).encode(),
        {t: (f"https://x.example/{t}", NOW) for t in ("Newest", "Middle", "Oldest")},
    ),
    "words of XML in CDATA": Feed(
        rss(item("<![CDATA[How <!ENTITY declarations go wrong]]>", guid="b")).encode(),
        {"How <!ENTITY declarations go wrong": (None, NOW)},
    ),
    "relative links": Feed(
        rss(
            item("Relative", link="/blog/1.html", at="01 Jan 2024 10:00:00 GMT")
            + item("Guid", guid="https://x.example/3.html", at="01 Jan 2024 10:00:00 GMT")
        ).encode(),
        {
            "Relative": ("https://x.example/blog/1.html", "2024-01-01T10:00:00Z"),
            "Guid": ("https://x.example/3.html", "2024-01-01T10:00:00Z"),
        },
    ),
    "xml:base": Feed(
        b'<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://base.example/dir/">'
        b"<id>urn:x</id><title>A</title><entry><id>urn:1</id>"
        b'<title type="html">A &amp;lt;b&amp;gt; tag &amp;amp; more</title>'
        b'<link href="post.html"/><updated>2024-01-01T00:00:00Z</updated></entry></feed>',
        {"A <b> tag & more": ("https://base.example/dir/post.html", "2024-01-01T00:00:00Z")},
    ),
    "dates": Feed(
        rss("".join(item(f"at {d}", guid=str(n), at=d) for n, d in enumerate(DATES))).encode(),
        {f"at {text}": (None, at) for text, at in DATES.items()},
        UNREAD,
    ),
    "JSON Feed": Feed(
        b'{"version":"https://jsonfeed.org/version/1.1","title":"J","items":[{"id":"1","url":'
        b'"https://j.example/1","content_html":"<p>Hi</p>","date_published":"2024-01-01T00:00:00Z"}]}',
        {"Hi": ("https://j.example/1", "2024-01-01T00:00:00Z")},
    ),
    "RDF": Feed(
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        b'xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        b'<channel rdf:about="https://r.example/"><title>R</title></channel>'
        b'<item rdf:about="https://r.example/1"><title>RDF item</title>'
        b"<link>https://r.example/1</link><dc:date>2024-01-01</dc:date></item></rdf:RDF>",
        {"RDF item": ("https://r.example/1", "2024-01-01T00:00:00Z")},
    ),
    "another encoding": Feed(
        rss(item("Café “quoted”", guid="1")).encode("windows-1252"),
        {"Café “quoted”": (None, NOW)},
        ("is not UTF-8, as it should be; it was read as Windows-1252",),
    ),
    "blank lines before it": Feed(
        b"\n\n" + rss(item("Leading blank", guid="1")).encode(), {"Leading blank": (None, NOW)}
    ),
    "a control character": Feed(
        rss(
            item("Control \x0b char", guid="1", rest="<description>&nbsp; &copy;</description>")
            + item("two", guid="2")
        ).encode(),
        {"Control char": (None, NOW), "two": (None, NOW)},
    ),
}


@pytest.mark.parametrize("name", FEEDS)
def test_feeds(harken, tmp_path, name):
    case = FEEDS[name]
    path = tmp_path / ("feed.json" if case.document.startswith(b"{") else "feed.xml")
    path.write_bytes(case.document)
    run = harken("import", "rss", path)
    assert (run.code, run.out.split(",")[0]) == (0, f"{len(case.articles)} added")
    assert [words for words in case.said if words not in run.err] == []
    assert len(run.err.splitlines()) == len(case.said)
    items = shown(harken)
    assert len(items) == len(case.articles)
    for each in items:
        path_, at = case.articles[each["title"]]
        assert each["path"] == path_
        # What has no date counts as of now; all dates here are of 2024.
        assert each["created_at"] == at or (at is NOW and each["created_at"] > "2025")
    undated = [title for title, (_, at) in case.articles.items() if at is NOW]
    assert [each["title"] for each in items if each["title"] in undated] == undated
    again = harken("import", "rss", path)
    assert again.out.startswith(f"0 added, 0 updated, {len(items)} unchanged")


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_enclosures_future_items_and_feeds_side_by_side(harken, tmp_path):
    episode = '<enclosure url="https://x.example/1.mp3" length="1" type="audio/mpeg"/>'
    future = item("In 2099", guid="f", at="01 Dec 2099 10:00:00 GMT")
    for name, inner in (
        ("a", item("Of a", guid="1")), ("b", item("Of b", guid="1")),
        ("c", item("Episode", guid="e", rest=episode) + future),
    ):  # fmt: skip
        (tmp_path / "feeds" / name).mkdir(parents=True)
        (tmp_path / "feeds" / name / "feed.xml").write_text(rss(inner, link=""))
    assert harken("import", "rss", tmp_path / "feeds").out.startswith("4 added")
    items = {each["title"]: each for each in shown(harken)}
    assert set(items) == {"Of a", "Of b", "Episode", "In 2099"}
    assert "1.mp3" in items["Episode"]["preview"]
    assert items["In 2099"]["created_at"].startswith("2099-12-01")


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_list_whose_feeds_are_compressed(harken, monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "*")
    plain, large = (rss(item(text, guid="1")).encode() for text in ("A", "x" * (17 << 20)))
    zipped = {"Content-Encoding": "gzip"}
    pages = {
        "/gz": Answer(gzip.compress(plain), headers=zipped),
        "/plain": Answer(plain),
        "/large": Answer(gzip.compress(large), headers=zipped),
    }
    with web(pages) as served:
        outlines = "".join(f'<outline xmlUrl="{served.url}{path}"/>' for path in pages)
        (tmp_path / "l.opml").write_text(f"<opml><body><outline>{outlines}</outline></body></opml>")
        run = harken("import", "rss", tmp_path / "l.opml")
    assert run.code == 1
    assert run.out.startswith("2 added, 0 updated, 0 unchanged, 0 vanished, 1 failed")
    assert f"{served.url}/large" in run.err


EVENTS: dict[str, tuple[str | bytes, tuple[str, ...], int, list[str], tuple[str, ...]]] = {
    # By the file's name: its content, options, the exit code, the readers, and what is said.
    "semicolon.csv": (
        f"{HEADER}\n{TEN},u1,k,VIEW\n".replace(",", ";"), (), 0, ["u1"], ("separated by ';'",),
    ),
    "utf16.csv": (f"{HEADER}\r\n{TEN},u1,k,VIEW\r\n".encode("utf-16"), (), 0, ["u1"], ()),
    "bom.csv": (f'\ufeff{HEADER},c\n{TEN},u1,k,VIEW,"two\nlines"""\n', (), 0, ["u1"], ()),
    "case.csv": (
        f"Timestamp,User_ID,Item ID,Event_Type\n{TEN},u1,k,VIEW\n", (), 0, ["u1"],
        ("Item ID as kblock_id",),
    ),
    "twice.csv": (
        f"timestamp,user_id,user_id,item_id,event_type\n{TEN},alice,,k,VIEW\n", (), 1, [],
        ("'user_id' is repeated, in columns 2 and 3",),
    ),
    "pandas.csv": (
        f"{HEADER},dwell_time_ms\n"
        + "".join(f"{TEN},{user},7.0,VIEW,{dwell}\n" for user, dwell in (
            ("12345.0", "3000.0"), ("12345", "3000"), ("NULL", "NULL"), ("\\N", ""),
            ("nan", "nan"), ("None", ""), ("u", "3000.5"), ("1.2345E+04", ""),
        )), (), 1, ["12345", "12345"],
        ("read as 12345: 3", "'NULL' means no value", "3000.5", "a program rounded"),
    ),
    "floats.jsonl": (
        ('{"timestamp":1704103200.0,"user_id":12345.0,"item_id":7,"event_type":"VIEW"}\n'
        '{"timestamp":1704103200,"user_id":12345,"item_id":1e3,"event_type":"VIEW"}\n'
        f'{{"timestamp":"{TEN}","user_id":true,"item_id":7,"event_type":"VIEW"}}\n'),
        (), 1, ["12345", "12345"], ("read as 12345: 2", "user_id: must be text or a whole number"),
    ),
    "floats.parquet": (
        parquet({"timestamp": [TEN] * 2, "user_id": [12345.0, None], "item_id": [7.0, 7.0],
                 "event_type": ["VIEW"] * 2}), (), 1, ["12345"], ("read as 12345: 2",),
    ),
    "integers.parquet": (
        parquet({"timestamp": [TEN], "user_id": [12345], "item_id": [7], "event_type": ["VIEW"]}),
        (), 0, ["12345"], (),
    ),
    "zones.csv": (
        f"{HEADER}\n2024-01-01 10:00,a,k,VIEW\n20240101,b,k,VIEW\n{TEN},c,k,VIEW\n",
        (), 1, ["c"], ("give --timezone",),
    ),
    "hours.csv": (
        f"{HEADER}\n2024-10-27 02:30:00,a,k,VIEW\n2024-03-31 02:30:00,b,k,VIEW\n",
        ("--timezone", "Europe/Berlin"), 0, ["b", "a"], ("showed twice", "the clock skipped"),
    ),
    "long.jsonl": (
        ('{"user_id":"u","kblock_id":"at://did:plc:abcdefghijklmnopqrstuvwx/app.bsky.feed.post/'
        '3abcdefghijkl","action":"view"}\n'), (), 1, [],
        ("at most 64 characters, and has 70: send a hash of it, such as its SHA-256 in hex",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EVENTS)
def test_logs(harken, tmp_path, name):
    content, options, code, users, said = EVENTS[name]
    path: Path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    run = harken("import", "interactions", path, *options)
    assert run.code == code
    assert [words for words in said if words not in run.out + run.err] == []
    recorded = [json.loads(line) for line in harken("export", "-").out.splitlines()]
    assert [event["user_id"] for event in recorded] == users
    if options == ():
        assert {event["occurred_at"] for event in recorded} <= {"2024-01-01T10:00:00+00:00"}


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_ids_and_times_of_json_lines(harken, tmp_path):
    path = tmp_path / "kblocks.jsonl"
    lines = [
        {"id": "near", "title": "Near", "created_at": "2026-01-01T00:00:00Z"},
        {"id": "far", "title": "Far", "created_at": "2099-01-01T00:00:00Z"},
        {"id": "two\nlines", "title": "Id with a line break"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = harken("import", "jsonl", path)
    assert (run.code, run.out.split(",")[0]) == (1, "2 added")
    assert "line 3: id: must not contain control characters, such as \\u000a" in run.err
    for feed in ("cosmos", "personal"):
        assert {each["id"] for each in shown(harken, feed)} == {"near", "far"}


NOTES: dict[str, tuple[str | bytes, dict[str, Any]]] = {
    "author.md": ("---\nauthor:\n  - '[[Jane Doe]]'\n---\nB", {"author": "Jane Doe"}),
    "authors.md": ("---\nauthor: [Jane Doe, John Roe]\n---\nB", {"author": "Jane Doe"}),
    "daily.md": ("---\ncreated: [[2023-01-02]]\n---\nB", {"created_at": "2023-01-02T00:00:00Z"}),
    "hash.md": ("---\ntags: #alpha #beta\n---\nB", {"tags": ["alpha", "beta"]}),
    "space.md": ("---\ntags: alpha beta\n---\nB", {"tags": ["alpha", "beta"]}),
    "list.md": ("---\ntags: [#alpha, #beta]\n---\nB", {"tags": ["alpha", "beta"]}),
    "tag.md": ("---\ntag: a\ncategories: [x, y]\n---\nB", {"tags": ["a", "x", "y"]}),
    "nested.md": ("---\ntags:\n  - project/a\n  - \n  - null\n---\nB", {"tags": ["project/a"]}),
    "colon.md": ("---\ntitle: Fwd: hints\n---\nB", {"title": "Fwd: hints"}),
    "bom.md": ("\ufeff---\ntitle: With BOM\n---\nB", {"title": "With BOM"}),
    "crlf.md": ("---\r\ntitle: CRLF\r\ntags: [a]\r\n---\r\nB", {"title": "CRLF", "tags": ["a"]}),
    "cp1252.md": ("---\ntitle: Café\n---\nB “q”".encode("cp1252"), {"title": "Café"}),
    "utf16.md": ("---\ntitle: UTF16\n---\nB".encode("utf-16"), {"title": "UTF16"}),
    "toml.md": ('+++\ntitle = "T"\ntags = ["a"]\n+++\nB', {"title": "T", "tags": ["a"]}),
    "us.md": ("---\ndate: 01/02/2023\n---\nB", {"preview": "B"}),
    "2019-03-04-post.md": ("B", {"title": "post", "created_at": "2019-03-04T00:00:00Z"}),
    "long.md": (f"---\ntags: [{'x' * 70}]\n---\nB", {"tags": ["x" * 64]}),
    "empty.md": ("", {"title": "empty", "preview": ""}),
    "only.md": ("---\naliases: [x]\n---\n", {"title": "only", "preview": ""}),
    "no-end.md": ("---\ntags: [a]\n\nWithout an end", {"title": "no-end", "tags": []}),
    "four.md": ("----\ntags: [a]\n----\nB", {"tags": []}),
    "indented.md": ("\n---\ntags: [a]\n---\nB", {"tags": []}),
    "zero.md": ("---\ndate: 0001-01-01T00:00:00Z\n---\nB", {"title": "zero"}),
}


def test_notes(harken, tmp_path):
    folder = tmp_path / "vault"
    folder.mkdir()
    drafts = {"draft.md": "---\ndraft: true\n---\nB", "p.md": "---\npublished: false\n---\nB"}
    for name, content in {**drafts, **{name: note for name, (note, _) in NOTES.items()}}.items():
        raw = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(raw)
    run = harken("import", "markdown", folder)
    assert run.code == 0
    assert f"{len(NOTES)} added, 0 updated, 0 unchanged, 0 vanished, 0 failed" in run.out
    for remarked in ("us.md: date", "zero.md: date", "long.md: tags", "cp1252.md: encoding"):
        assert remarked in run.err
    items = {each["path"]: each for each in shown(harken)}
    assert items.keys() == NOTES.keys()
    for name, (_, right) in NOTES.items():
        assert {key: items[name][key] for key in right} == right
    harken("import", "markdown", folder, "--drafts")
    marked = {each["path"] for each in shown(harken) if "draft" in each["tags"]}
    assert marked == set(drafts)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_what_looks_like_markup_is_printed_as_it_is(harken, tmp_path):
    path = tmp_path / "a:x:b.jsonl"
    good = {"id": "k:x:[b]", "title": "go :smile: [bold]x[/] [/nope]"}
    path.write_text(json.dumps(good) + '\n{"id": "l", "title": ""}\n')
    run = harken("import", "jsonl", path)
    assert "a:x:b.jsonl, line 2: title" in run.err
    table = harken("feed").out
    assert good["id"] in table
    assert good["title"] in table
    assert "nowhere:x:[b]" in harken("import", "markdown", tmp_path / "nowhere:x:[b]").err
    assert "'no:x:[b]'" in harken("feed", "no:x:[b]").err
