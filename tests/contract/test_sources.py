"""Sources: subscribing, refreshing, and what a reader wants of each."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from harken.database import Database
from harken.domain.kblock import KBlock
from harken.domain.preferences import Preferences
from harken.errors import InvalidInput, NotFound
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.integrity.erasure import Erasure
from harken.services.kblocks.attachments import Attachment
from harken.services.kblocks.importers.syndication.fetching import Fetcher
from harken.services.record.admission.subjects import Subject
from harken.services.registry.leases import LeaseStore
from harken.services.sources.refreshing import Politeness, Refresher, Result
from harken.services.sources.schedule import LEASE, LEASE_NAME, RefreshSchedule
from harken.services.sources.service import SourceOptions
from harken.services.sources.subscription import JITTER, Subscription
from tests.support.feeds import page_naming, rss
from tests.support.waiting import until
from tests.support.web import Answer, Web, web

HOUR = timedelta(hours=1)
FAST = Politeness(pause=timedelta())


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as served:
        served.pages["/feed"] = Answer(rss("Blog", "one", "two"), headers={"ETag": '"a"'})
        yield served


@pytest.fixture
async def service(session_factory, clock):
    options = SourceOptions(HOUR, Fetcher(allow_private=True), FAST)
    opened = FeedService(session_factory, clock=clock, sources=options)
    yield opened
    await opened.close()


async def titles(service, feed="cosmos", user_id="ada", **asked) -> list[str]:
    page = await service.page(FeedRequest(feed, user_id, **asked))
    return [item.title for item in page.items]


async def test_a_page_names_its_feed_and_items_know_their_source(service, site):
    site.pages["/"] = page_naming("/feed", "/comments")
    found = await service.sources.subscribe(site.url, by="ada")
    assert (found.is_new, found.refreshed.added) == (True, 2)
    assert found.others == [f"{site.url}/comments"]
    source = found.refreshed.source
    page = await service.page(FeedRequest("cosmos", "ada"))
    assert {item.source for item in page.items} == {(f"source:{source.source_id}", "Blog")}
    await service.sources.rename(source.source_id, "  My   blog ")
    assert await titles(service, f"source:{source.source_id}") == ["one", "two"]
    kept = await service.kblocks.get(page.items[0].id)
    assert kept.source.title == "My blog"
    again = await service.sources.subscribe(f"{site.url}/feed/".removesuffix("/"))
    assert (again.is_new, again.refreshed.result) == (False, Result.UNCHANGED)
    await service.sources.remove(source.source_id)
    assert await titles(service) == ["one", "two"]  # items stay
    with pytest.raises(NotFound):
        await service.sources.remove(source.source_id)


async def test_what_did_not_change_is_neither_sent_nor_read_again(service, site, clock):
    source = (await service.sources.subscribe(f"{site.url}/feed")).refreshed.source
    writes = service.kblocks.writes
    site.pages["/feed"] = Answer(status=304)
    clock.now += HOUR
    unchanged = await service.sources.refresh(source.source_id)
    assert unchanged.result is Result.UNCHANGED
    assert site.asked[-1][1]["if-none-match"] == '"a"'
    # A server without validators sends the same bytes: they are not read.
    site.pages["/feed"] = Answer(rss("Blog", "one", "two"))
    assert (await service.sources.refresh(source.source_id)).result is Result.UNCHANGED
    assert service.kblocks.writes == writes
    site.pages["/feed"] = Answer(
        rss("Blog", "three", "one", "two"),
        headers={"Last-Modified": "Thu, 01 Oct 2026 10:00:00 GMT"},
    )
    news = await service.sources.refresh(source.source_id)
    # Three items are dated anew, and one of them was never here.
    assert (news.result, news.added, news.updated) == (Result.NEWS, 1, 2)
    await service.sources.refresh(source.source_id)
    asked = site.asked[-1][1]
    assert asked["if-modified-since"] == "Thu, 01 Oct 2026 10:00:00 GMT"
    assert "if-none-match" not in asked


async def test_a_failure_loses_nothing_and_is_tried_again_later_and_later(service, site, clock):
    source = (await service.sources.subscribe(f"{site.url}/feed")).refreshed.source
    site.pages["/feed"] = Answer(b"<oops", status=500)
    for failures in (1, 2, 3):
        failed = (await service.sources.refresh(source.source_id)).source
        assert (failed.failures, failed.error) == (
            failures, "cannot be fetched: 500 Internal Server Error",
        )  # fmt: skip
        wait = HOUR * 2**failures
        assert abs(failed.due_at - clock.now - wait) <= wait * JITTER
    assert (failed.etag, failed.succeeded_at) == ('"a"', source.succeeded_at)
    assert await titles(service) == ["one", "two"]
    site.pages["/feed"] = Answer(status=503, headers={"Retry-After": "172800"})
    late = (await service.sources.refresh(source.source_id)).source
    assert late.due_at == clock.now + timedelta(days=2)
    site.pages["/feed"] = Answer(b"no feed")
    wrong = (await service.sources.refresh(source.source_id)).source
    assert "must be a feed" in wrong.error
    site.pages["/feed"] = Answer(status=304)
    well = (await service.sources.refresh(source.source_id)).source
    assert (well.failures, well.error) == (0, None)
    assert abs(well.due_at - clock.now - HOUR) <= HOUR * JITTER


async def test_what_is_gone_is_not_asked_again(service, site, clock):
    source = (await service.sources.subscribe(f"{site.url}/feed")).refreshed.source
    site.pages["/feed"] = Answer(status=410)
    gone = await service.sources.refresh(source.source_id)
    assert (gone.result, gone.source.is_gone, gone.source.due_at) == (Result.GONE, True, None)
    clock.now += timedelta(days=400)
    assert await service.sources.due(10) == []
    assert await service.sources.ask_all() == 0
    # By hand it is asked, and if it is back, it is as before.
    site.pages["/feed"] = Answer(rss("Blog", "back"))
    back = await service.sources.refresh(source.source_id)
    assert (back.result, back.source.is_gone) == (Result.NEWS, False)
    assert back.source.due_at is not None


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nothing", "cannot be fetched: 404 Not Found"),
        ("/page", "is a web page that names no feed; give the address of its feed"),
        ("/list", r"is a list of feeds \(OPML\): save and import it"),
        ("/wrong", "names a feed that must be a feed, RSS or Atom"),
        ("/text", "must be a feed, RSS or Atom"),
    ],
)
async def test_what_is_no_feed_is_refused_and_not_kept(service, site, path, said):
    site.pages["/page"] = page_naming()
    site.pages["/wrong"] = page_naming("/text")
    site.pages["/list"] = Answer(b"<opml version='2.0'><body/></opml>")
    site.pages["/text"] = Answer(b"Hello")
    with pytest.raises(InvalidInput, match=f"^url: {said}"):
        await service.sources.subscribe(site.url + path)
    assert (await service.sources.listed(10)) == ([], 0)


async def test_private_hosts_are_refused_unless_they_are_named(session_factory, site):
    service = FeedService(session_factory)
    with pytest.raises(InvalidInput, match="HARKEN_PRIVATE_SOURCES"):
        await service.sources.subscribe(f"{site.url}/feed")
    for wrong in ("file:///etc/passwd", "ftp://blog.example/", "http://", "a b", "x" * 2_001):
        with pytest.raises(InvalidInput, match=r"^url: "):
            await service.sources.subscribe(wrong)
    named = SourceOptions(None, Fetcher(private_hosts=["127.0.0.1"]))
    service = FeedService(session_factory, sources=named)
    source = (await service.sources.subscribe(f"{site.url}/feed")).refreshed.source
    assert source.due_at is None  # refreshing is off: on request only
    assert await service.sources.ask_all() == 1


async def test_lists_go_out_and_in(service, site, clock):
    await service.sources.subscribe(f"{site.url}/feed", title="Ada's <blog>")
    written = await service.sources.export_opml()
    more = (
        b'<outline text="More" xmlUrl="https://more.example/rss"/><outline xmlUrl="/etc/passwd"/>'
    )
    found = await service.sources.import_opml(written.replace(b"</body>", more + b"</body>"))
    assert (found.added, found.known) == (1, 1)
    assert found.left_out == ["/etc/passwd: must be an address of http or https"]
    assert [each.url for each in await service.sources.due(10)] == ["https://more.example/rss"]
    assert [each.shown_title for each in await service.sources.store.all()] == [
        "Ada's <blog>", "More",
    ]  # fmt: skip
    with pytest.raises(InvalidInput, match=r"^opml: must be a list of feeds"):
        await service.sources.import_opml(rss("Blog"))


async def test_one_of_several_servers_refreshes_what_is_due(service, session_factory, site, clock):
    await service.sources.subscribe(f"{site.url}/feed")
    clock.now += 2 * HOUR
    site.pages["/feed"] = Answer(status=304)
    site.asked.clear()
    leases = LeaseStore(Database(session_factory))
    await leases.take(LEASE_NAME, "another server", LEASE)
    looks, rounds = noted(service.sources, "due"), noted(service.sources.refresher, "refresh")
    async with RefreshSchedule(service.sources, leases, look=timedelta(milliseconds=5)).running():
        for _ in range(3):
            await looks.get()
        assert rounds.empty()
        await leases.release(LEASE_NAME, "another server")
        [refreshed] = await rounds.get()
        assert refreshed.result is Result.UNCHANGED
    assert len(site.asked) == 1
    # On request it begins at once, however long the pause.
    async with RefreshSchedule(service.sources, leases, look=timedelta(days=1)).running():
        await looks.get()
        await service.sources.ask_all()
        await rounds.get()
    assert len(site.asked) == 2


def noted(of: Any, name: str) -> asyncio.Queue:
    """Return a queue that gets each result of a coroutine method."""
    method = getattr(of, name)
    results: asyncio.Queue[Any] = asyncio.Queue()

    async def noting(*given: Any) -> Any:
        found = await method(*given)
        results.put_nowait(found)
        return found

    setattr(of, name, noting)
    return results


async def test_a_rare_source_is_seen_beside_a_loud_one(service, site):
    loud = [f"loud {number}" for number in range(300)]
    rare = ["rare 0", "rare 1", "rare 2"]
    site.pages["/loud"] = Answer(rss("Loud", *loud, day=9, link="https://loud.example/"))
    site.pages["/rare"] = Answer(rss("Rare", *rare, day=3, link="https://rare.example/"))
    ids = [
        (await service.sources.subscribe(f"{site.url}{path}")).refreshed.source.source_id
        for path in ("/loud", "/rare")
    ]
    assert not any(each.startswith("rare") for each in await titles(service, limit=20))
    await service.readers.prefer("ada", Preferences(most_per_source=3))
    for ranking in ("chronological", "weighted", "popularity", "personal"):
        first = await titles(service, limit=20, ranking=ranking)
        assert len(first) == 20  # a cap leaves no gap
        assert {each for each in first if each.startswith("rare")} == set(rare)
    # What a request says comes first; and nothing is lost on later pages.
    assert not any(
        each.startswith("rare") for each in await titles(service, limit=20, most_per_source=20)
    )
    seen, cursor = [], None
    while True:
        page = await service.page(FeedRequest("cosmos", "ada", limit=100, cursor=cursor))
        seen += [item.title for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted([*loud, *rare])
    # The weight multiplies the cap, and a cap is at least one.
    await service.sources.prefer("ada", ids[0], weight=0.25)
    await service.sources.prefer("ada", ids[1], weight=2.0)
    first = await titles(service, limit=20)
    assert [each.partition(" ")[0] for each in first[:4]] == ["loud", "rare", "rare", "rare"]
    assert await titles(service, f"source:{ids[0]}", limit=5) == [f"loud {i}" for i in range(5)]


async def test_a_rare_source_is_seen_behind_more_than_any_order_keeps(service, site):
    site.pages["/rare"] = Answer(rss("Rare", "rare", day=3))
    await service.sources.subscribe(f"{site.url}/rare")
    loud = [KBlock(id=f"l{number}", title="loud") for number in range(1_050)]
    await service.kblocks.put(loud, source="rss:https://loud.example/")
    assert "rare" not in await titles(service, limit=100)
    for ranking in ("chronological", "weighted", "personal"):
        assert (await titles(service, most_per_source=2, ranking=ranking))[:3].count("rare") == 1


async def test_what_a_reader_mutes_is_hidden_from_them_alone(service, site):
    site.pages["/other"] = Answer(rss("Other", "three", link="https://other.example/"))
    ids = [
        (await service.sources.subscribe(f"{site.url}{path}")).refreshed.source.source_id
        for path in ("/feed", "/other")
    ]
    await service.readers.prefer("ada", Preferences(muted_tags=("x",)))
    wanted = await service.sources.prefer("ada", ids[0], muted=True, weight=0.5)
    assert wanted == (True, 0.5)
    assert await titles(service) == ["three"]
    assert await titles(service, user_id="bob") == ["three", "one", "two"]
    kept = await service.readers.preferences("ada")
    assert (kept.muted_tags, kept.muted_sources) == (("x",), (ids[0],))
    assert kept.interests["sources"] == {f"rss:{site.url}/feed": -1.0}
    assert await service.sources.prefer("ada", ids[0], muted=False, weight=1.0) == (False, 1.0)
    assert (await service.readers.preferences("ada")).interests["sources"] == {}
    with pytest.raises(InvalidInput, match="guest"):
        await service.sources.prefer("guest", ids[0], muted=True)


async def test_writers_of_one_refresh_do_not_wait_for_each_other_in_the_database(
    service, site, clock, monkeypatch
):
    """SQLite lets one of many wait until its time is over, and recorded events wait with it."""
    busy, most, put, keep = 0, 0, service.kblocks.put, service.sources.store.keep

    def counted(write):
        async def counting(*given, **named):
            nonlocal busy, most
            busy, most = busy + 1, max(most, busy + 1)
            try:
                return await write(*given, **named)
            finally:
                busy -= 1

        return counting

    monkeypatch.setattr(service.kblocks, "put", counted(put))
    monkeypatch.setattr(service.sources.store, "keep", counted(keep))
    port, sources = site.url.rpartition(":")[2], []
    for number in range(60):  # more than are noted at once
        at = f"s{number}.example"
        feed = rss(f"Source {number}", "one", "two", link=f"https://{at}/")
        site.pages[f"/{number}"] = Answer(feed)
        sources.append(Subscription(url=f"http://{at}:{port}/{number}"))
    await service.sources.store.add(sources)
    fetcher = Fetcher(allow_private=True, resolver=lambda _host, _port: ["127.0.0.1"])
    refresher = Refresher(
        service.sources.store, service.kblocks, fetcher, HOUR, clock, politeness=FAST
    )
    refreshed = await refresher.refresh(sources)
    assert [each.added for each in refreshed] == [2] * 60
    assert most == 1


async def test_files_of_items_are_kept_beside_their_texts(service, site):
    episode = "https://blog.example/1.mp3"
    file = f'<enclosure url="{episode}" length="5000000" type="audio/mpeg"/>'.encode()
    with_file = rss("Blog", "one", "two").replace(b"</item>", file + b"</item>", 1)
    site.pages["/feed"] = Answer(with_file)
    await service.sources.subscribe(f"{site.url}/feed")
    one, two = (await service.page(FeedRequest("cosmos", "ada"))).items
    found = await service.kblocks.attachments([one.id, two.id, "unknown"])
    assert found == {one.id: [Attachment(episode, "1.mp3", "audio/mpeg", 5_000_000)]}
    assert (one.preview, two.preview) == ("What one says.", "What two says.")
    # A size that becomes known is a change of the item.
    site.pages["/feed"] = Answer(with_file.replace(b"5000000", b"6000000"))
    refreshed = await service.sources.refresher.refresh(await service.sources.store.all())
    assert [each.updated for each in refreshed] == [1]


async def test_an_erased_reader_is_forgotten_as_who_added_a_source(service, session_factory, site):
    source = (await service.sources.subscribe(f"{site.url}/feed", by="ada")).refreshed.source
    await Erasure(session_factory).erase(Subject.READER, "ada", rebuild_file=False)
    assert (await service.sources.get(source.source_id)).added_by is None


async def test_two_refreshes_at_once_each_end_when_their_own_is_stored(service, site, monkeypatch):
    for name in ("one", "two"):
        site.pages[f"/{name}"] = Answer(rss(name, f"of {name}"))
    one, two = [
        (await service.sources.subscribe(f"{site.url}/{name}")).refreshed.source
        for name in ("one", "two")
    ]
    store, keep = service.sources.store, service.sources.store.keep
    reached, held = asyncio.Event(), asyncio.Event()
    site.pages["/one"] = site.pages["/two"] = Answer(status=410)

    async def slow(states):
        if any(each.source_id == one.source_id for each in states):
            reached.set()
            await held.wait()
        await keep(states)

    monkeypatch.setattr(store, "keep", slow)
    before = len(site.asked)
    first = asyncio.create_task(service.sources.refresh(one.source_id))
    await reached.wait()
    second = asyncio.create_task(service.sources.refresh(two.source_id))
    await until(lambda: any(path == "/two" for path, _ in site.asked[before:]))
    held.set()
    await second
    assert (await service.sources.get(two.source_id)).is_gone
    await first
    assert (await service.sources.get(one.source_id)).is_gone


async def test_what_a_reader_wants_of_many_sources_at_once_is_all_kept(service, site):
    ids = []
    for number in range(6):
        site.pages[f"/{number}"] = Answer(rss(f"Blog {number}", f"item {number}"))
        found = await service.sources.subscribe(f"{site.url}/{number}")
        ids.append(found.refreshed.source.source_id)
    await asyncio.gather(
        *(service.sources.prefer("ada", each, muted=True) for each in ids[:3]),
        *(service.sources.prefer("ada", each, weight=2.0) for each in ids[3:]),
        service.readers.declare("ada", ["p"]),
    )
    context = await service.readers.context("ada")
    assert set(context.muted_sources) == set(ids[:3])
    assert context.source_weights == {f"rss:{site.url}/{number}": 2.0 for number in (3, 4, 5)}
    assert context.principles == ("p",)
    with pytest.raises(InvalidInput, match="guest"):
        await service.sources.prefer("guest", ids[0], muted=True)
