"""Importing feeds, on each database: which article is which, and when undated ones came."""

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import select

from harken.domain.kblock import KBlock
from harken.services.kblocks.importers.rss import feeds
from harken.services.kblocks.importers.run import KBlockImport, Summary
from harken.services.kblocks.store import KBlockStore
from harken.services.record.contradictions import KBLOCKS
from tests.support.web import Answer, web


@pytest.fixture
def store(session_factory) -> KBlockStore:
    return KBlockStore(session_factory)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def item(title: str, *, guid: str = "", link: str = "", date: str = "", text: str = "") -> str:
    return (
        f"<item><title>{title}</title>"
        + (f"<guid>{guid}</guid>" if guid else "")
        + (f"<link>{link}</link>" if link else "")
        + (f"<pubDate>{date}</pubDate>" if date else "")
        + f"<description>{text}</description></item>"
    )


def rss(*items: str, link: str = "https://site.example/", title: str = "Site") -> str:
    return (
        f'<?xml version="1.0"?><rss version="2.0"><channel><title>{title}</title>'
        f"<link>{link}</link><description>d</description>{''.join(items)}</channel></rss>"
    )


def saved(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


async def run(store: KBlockStore, *locations: Path | str, dry_run: bool = False) -> Summary:
    work = KBlockImport(store, dry_run=dry_run)
    for location in locations:
        for feed in feeds(location):
            await work.run(feed)
    return work.summary


def counts(summary: Summary) -> tuple[int, ...]:
    return (summary.added, summary.updated, summary.unchanged, summary.failed)


def former_id(feed: str, own: str) -> str:
    """The formula of earlier versions."""
    return hashlib.sha256(f"{feed}\0{own}".encode()).hexdigest()[:32]


RELEASES = [
    item(f"Release {n}", guid="r", link="https://tools.example/", text=f"{n}",
         date=f"0{n} Jan 2024 10:00:00 GMT")
    for n in (3, 2, 1)
]  # fmt: skip


@pytest.mark.parametrize("guid", ["<guid>r</guid>", ""], ids=["guid", "link"])
async def test_entries_with_one_guid_or_link_are_all_kept(store, tmp_path, guid):
    """Also when they come one after the other, and when all but one have dropped out."""
    items = [each.replace("<guid>r</guid>", guid) for each in RELEASES]
    path = saved(tmp_path / "f.xml", rss(items[2], link="https://tools.example"))
    assert counts(await run(store, path)) == (1, 0, 0, 0)
    for some, expected in (
        (items[1:], (1, 0, 1, 0)),
        (items, (1, 0, 2, 0)),
        (items, (0, 0, 3, 0)),
        (items[1:2], (0, 0, 1, 0)),
        (items[::-1], (0, 0, 3, 0)),
    ):
        saved(path, rss(*some, link="https://tools.example"))
        assert counts(await run(store, path, dry_run=True)) == expected
        assert counts(await run(store, path)) == expected
    assert await store.count() == 3


async def test_an_entry_that_is_twice_in_a_document_is_unchanged(store, tmp_path):
    path = saved(tmp_path / "f.xml", rss(RELEASES[0], RELEASES[0]))
    assert counts(await run(store, path)) == (1, 0, 1, 0)
    other = saved(tmp_path / "copy.xml", path.read_text())
    assert counts(await run(store, path, other)) == (0, 0, 4, 0)


async def test_entries_that_differ_by_their_text_only_are_all_kept(store, tmp_path):
    same = [item("Update", guid="u", text=text) for text in ("a", "b", "c")]
    path = saved(tmp_path / "f.xml", rss(*same))
    assert counts(await run(store, path)) == (3, 0, 0, 0)
    assert counts(await run(store, path)) == (0, 0, 3, 0)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    "link", ["", "https://site.example/"], ids=["without a link", "with the same link"]
)
async def test_feeds_that_use_the_same_guids_stay_apart(store, tmp_path, together, link):
    for name in ("a", "b"):
        feed = rss(item(f"First of {name}", guid="1"), link=link, title=f"Feed {name}")
        saved(tmp_path / name / f"feed{name if link else ''}.xml", feed)
    for expected in ((2, 0, 0, 0), (0, 0, 2, 0)):
        if together:
            assert counts(await run(store, tmp_path)) == expected
            continue
        done = [counts(await run(store, tmp_path / name)) for name in ("a", "b")]
        assert tuple(map(sum, zip(*done, strict=True))) == expected
    assert await store.count() == 2


async def test_feeds_of_the_web_that_use_the_same_guids_stay_apart(store):
    with web() as served:
        for name in ("a", "b"):
            feed = rss(item(f"First of {name}", guid="1"))
            served.pages[f"/{name}"] = Answer(feed.encode())
        urls = [f"{served.url}/{name}" for name in ("a", "b")]
        assert counts(await run(store, *urls)) == (2, 0, 0, 0)
        assert counts(await run(store, *urls)) == (0, 0, 2, 0)


def moved_to_https(text: str) -> str:
    return text.replace("http://www.site.example", "https://site.example")


@pytest.mark.parametrize("guid", ["", "7", "http://www.site.example/?p=7"])
async def test_a_feed_that_moves_to_https_duplicates_nothing(store, tmp_path, guid):
    before = rss(
        item("One", guid=guid, link="http://www.site.example/1/", text="a"),
        link="http://www.site.example/",
    )
    path = saved(tmp_path / "f.xml", before)
    assert counts(await run(store, path)) == (1, 0, 0, 0)
    saved(path, moved_to_https(before))
    assert counts(await run(store, path)) == (0, 1, 0, 0)
    assert counts(await run(store, path)) == (0, 0, 1, 0)


@pytest.mark.parametrize("guid", ["", "7", "http://www.site.example/?p=7"])
@pytest.mark.parametrize("moved", [False, True])
async def test_what_earlier_versions_kept_keeps_its_id(store, tmp_path, guid, moved):
    """Also where the feed moved to https meanwhile, and where it is changed later."""
    link, page = "http://site.example/", "http://site.example/1"
    guid = guid.replace("www.", "")
    kept = former_id(link, guid or page)
    await store.put([KBlock(id=kept, title="One", path=page)], source="rss:f.xml")
    text = rss(item("One", guid=guid, link=page), link=link)
    text = text.replace("http:", "https:") if moved else text
    path = saved(tmp_path / "f.xml", text)
    assert counts(await run(store, path)) == (0, 1, 0, 0)
    saved(path, text.replace("One", "Another title"))
    assert counts(await run(store, path)) == (0, 1, 0, 0)
    assert counts(await run(store, path)) == (0, 0, 1, 0)
    found = await store.get(kept)
    assert found is not None
    assert (found.kblock.title, await store.count()) == ("Another title", 1)


async def test_of_two_feeds_that_earlier_versions_confused_one_keeps_the_id(store, tmp_path):
    kept = former_id("rss:feed.xml", "1")
    await store.put([KBlock(id=kept, title="First of b")], source="rss:feed.xml")
    for name in ("a", "b"):
        text = rss(item(f"First of {name}", guid="1"), link="", title=f"Feed {name}")
        saved(tmp_path / name / "feed.xml", text)
    assert counts(await run(store, tmp_path)) == (1, 1, 0, 0)
    assert counts(await run(store, tmp_path)) == (0, 0, 2, 0)
    found = await store.get(kept)
    assert found is not None
    assert found.kblock.title == "First of b"


async def test_a_feed_from_a_file_is_the_one_from_the_web(store, tmp_path):
    with web() as served:
        text = rss(item("One", guid="1", link="https://site.example/1"))
        served.pages["/"] = Answer(text.encode())
        assert counts(await run(store, saved(tmp_path / "f.xml", text))) == (1, 0, 0, 0)
        assert counts(await run(store, f"{served.url}/")) == (0, 1, 0, 0)
        assert counts(await run(store, f"{served.url}/")) == (0, 0, 1, 0)


async def order(session_factory) -> list[str]:
    """Return the titles of all K-Blocks with a date, the latest first."""
    columns = KBLOCKS.c
    dated = select(columns.title).where(columns.created_at.is_not(None))
    async with session_factory() as session:
        return list((await session.scalars(dated.order_by(columns.created_at.desc()))).all())


async def test_undated_entries_keep_the_order_of_their_feed(store, session_factory, tmp_path):
    """More than are kept at once; and a second import changes nothing."""
    items = [item(f"t{n}", guid=f"g{n}") for n in range(600)]
    path = saved(tmp_path / "f.xml", rss(*items))
    assert counts(await run(store, path)) == (600, 0, 0, 0)
    titles = [f"t{n}" for n in range(600)]
    assert await order(session_factory) == titles
    assert counts(await run(store, path)) == (0, 0, 600, 0)
    saved(path, rss(item("new", guid="new"), *items))
    assert counts(await run(store, path)) == (1, 0, 600, 0)
    assert await order(session_factory) == ["new", *titles]


async def test_every_entry_is_accounted_for(store, tmp_path):
    items = [
        item("Good", guid="1"), "<item></item>", item("x", guid="2", text="y" * (1024 * 1024)),
        item("Good", guid="1"), item("Dated", guid="3", date="never"),
    ]  # fmt: skip
    summary = await run(store, saved(tmp_path / "f.xml", rss(*items)))
    assert counts(summary) == (2, 0, 1, 2)
    assert [where.rpartition(", ")[2] for where, _ in summary.failures] == ["entry 2", "entry 3"]
    [remark] = summary.remarks
    assert remark.startswith(f"{tmp_path / 'f.xml'}, entry 5: 'never' cannot be read as a time; ")
