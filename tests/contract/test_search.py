"""Search, on both databases: what is found, in which order, why, and page by page."""

import contextlib
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.domain.kblock import KBlock
from harken.domain.preferences import Preferences
from harken.errors import CursorExpired, InvalidInput, UnknownFeed
from harken.services.feed.search import finding
from harken.services.feed.search.request import SearchRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.search import matching
from harken.services.kblocks.search.upkeep import SearchUpkeep
from tests.contract.conftest import NOW

NOTES: list[dict[str, Any]] = [
    {"id": "git", "title": "Git hooks", "content": "A hook runs before a commit.",
     "tags": ["version control", "Café"], "author": "Ines Müller", "layer": 1},
    {"id": "rebase", "title": "On rebasing", "tags": ["git"], "author": "Okoro",
     "content": "Rebase with **git**, and squash: the state-of-the-art. Not a merge."},
    {"id": "bread", "title": "Bread", "author": "Ines Müller", "layer": 3,
     "content": "Knead it. It has <em>nothing</em> to do with [version](https://git.example/git)."},
    {"id": "tokyo", "title": "東京都の天気", "content": "今日は晴れ。Тёплый день."},
    {"id": "party", "title": "A 🎉 for gitter", "content": "Gigantic hooks; control of version"},
]  # fmt: skip


@pytest.fixture
async def feeds(session_factory, record, clock):
    service = FeedService(session_factory, record=record, clock=clock)
    yield service
    await service.close()


@pytest.fixture
async def filled(feeds):
    await put(feeds, *NOTES)
    return feeds


async def put(feeds, *notes: dict, source: str | None = None) -> None:
    made = [
        {"created_at": NOW - timedelta(hours=hours), **note} for hours, note in enumerate(notes, 1)
    ]
    await feeds.kblocks.put([KBlock.parse(note) for note in made], source)


async def found(feeds, q: str = "", **options) -> list[str]:
    page = await feeds.search.find(SearchRequest(q, **options))
    assert page.total == len(page.items) or page.has_more
    return [each.item.id for each in page.items]


MEANINGS: list[tuple[str, set[str]]] = [
    ("git", {"git", "rebase"}),
    ("GIT  hooks", {"git"}),
    ("gi*", {"git", "rebase", "party"}),
    ("git -squash", {"git"}),
    ('hooks -"git hooks"', {"party"}),
    ('"version control"', {"git"}),
    ("version control", {"git", "party"}),
    ('"control version"', set()),  # of two fields, or the other way round
    ('"control cafe"', set()),  # of two tags
    ("cafe", {"git"}),
    ("CAFÉ", {"git"}),
    ("cafe\u0301", {"git"}),
    ("muller", {"git", "bread"}),
    ("state-of-the-art", {"rebase"}),
    ("of-the-state", set()),
    ("em", set()),  # a tag of HTML
    ("example", set()),  # the target of a link
    ("東京", {"tokyo"}),
    ("京都", {"tokyo"}),
    ("天", {"tokyo"}),
    ("気", {"tokyo"}),
    ("東京都の", {"tokyo"}),
    ("東都", set()),
    ("теплый", {"tokyo"}),
    ("🎉", {"party"}),
    ('"for gitt"*', {"party"}),
    ("git AND hooks", set()),  # AND is a word
    ('"never closes git', set()),
    ('"git', {"git", "rebase"}),
    ("(git) | hooks)) * ^ {title}: git hooks", set()),
    ("git' OR 1=1 --", set()),
    ("git:* & !hooks", {"git", "party"}),
    ("-- git", {"git", "rebase"}),
    ("--git", {"git", "rebase"}),
    ("nothing-there", set()),
]


async def test_what_a_query_means(filled):
    for q, expected in MEANINGS:
        assert set(await found(filled, q)) == expected, q


REFUSED = [
    ("!!!", "has no word"), ("*", "has no word"), ('""', "has no word"), ("-", "has no word"),
    ("-git", "leave out"), ("git\x00", "u0000"), ("\ud800", "surrogates"),
    ("x" * 10_000, "10000 characters"), (" ".join(f"w{n}" for n in range(65)), "65 words"),
]  # fmt: skip


async def test_what_cannot_be_looked_for_is_refused(filled):
    for q, says in REFUSED:
        with pytest.raises(InvalidInput, match=says):
            await found(filled, q)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40) | st.text(alphabet="git\"-*:() &|!<>'\\{}^~京都", max_size=40))
def test_no_query_is_an_error_of_the_database(q):
    """The texts that are sent to either database contain only words and what was put between."""
    from harken.services.kblocks.search.query import parse_query

    try:
        query = parse_query(q)
    except InvalidInput:
        return
    for term in (*query.wanted, *query.excluded):
        for word in term.words:
            assert word
            assert not any(each.isascii() and not each.isalnum() for each in word)
            assert not any(each.isspace() for each in word)


@pytest.fixture(scope="module")
def nasty() -> list[str]:
    rng = random.Random(19)
    alphabet = list("git hooks\"-*:()&|!<>'\\{}^~+,;%$#@京都é🎉\u200d\u0301\n\t NEAR AND OR NOT")
    return ["".join(rng.choices(alphabet, k=rng.randrange(1, 30))) for _ in range(150)]


async def test_both_databases_take_any_query(filled, nasty):
    for q in nasty:
        with contextlib.suppress(InvalidInput):
            await found(filled, q)


async def test_the_relevant_come_first_and_say_why(filled):
    await put(
        filled,
        {"id": "long", "title": "Tools", "content": "git " + "and many other words " * 200},
        {"id": "short", "title": "Tools", "content": "git and git."},
    )
    page = await filled.search.find(SearchRequest("git"))
    ids = [each.item.id for each in page.items]
    assert ids[:2] in (["git", "rebase"], ["rebase", "git"])  # title, and tag with text
    assert ids[2:] == ["short", "long"]
    scores = [each.item.score for each in page.items]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0
    [rebase] = [each for each in page.items if each.item.id == "rebase"]
    assert rebase.fields == {"tags": ["git"], "text": ["git"]}
    assert "with <mark>git</mark>" in rebase.snippet
    assert rebase.title == "On rebasing"
    assert page.understood == "git"


async def test_snippets_are_escaped_and_show_the_match(filled):
    inside = 'a <b onclick="x">bold</b> & zebra <i>of</i> the "plains"'
    text = "before " * 100 + inside + " after" * 99
    title = "<script>alert(1)</script> Zebra & co"
    await put(filled, {"id": "z", "title": title, "content": text})
    [item] = (await filled.search.find(SearchRequest('zebra "of the plains"'))).items
    assert item.title == "&lt;script&gt;alert(1)&lt;/script&gt; <mark>Zebra</mark> &amp; co"
    assert "&amp; <mark>zebra</mark> <mark>of the &quot;plains</mark>" in item.snippet
    assert item.snippet.startswith("…before")
    assert item.snippet.endswith("after…")
    assert "<b" not in item.snippet
    assert item.fields == {"title": ["zebra"], "text": ["zebra", '"of the plains"']}


async def test_filters(filled, record):
    await put(filled, {"id": "imported", "title": "Git elsewhere"}, source="rss:here")
    everything = {each["id"] for each in NOTES} | {"imported"}
    assert set(await found(filled)) == everything
    assert await found(filled, tag="git") == ["rebase"]
    assert await found(filled, "git", tag="version control") == ["git"]
    assert set(await found(filled, author="Ines Müller")) == {"git", "bread"}
    assert await found(filled, "git", author="ines müller") == []  # a label, letter by letter
    assert await found(filled, source="rss:here") == ["imported"]
    assert await found(filled, "hooks", source="rss:here") == []
    assert await found(filled, "git", feed="axioms") == ["git"]
    assert await found(filled, feed="axioms", author="Okoro") == []
    with pytest.raises(UnknownFeed):
        await found(filled, feed="axiom")
    for wrong in ({"tag": ""}, {"source": ""}, {"source": "\x00"}, {"author": "x" * 65}):
        with pytest.raises(InvalidInput):
            await found(filled, **wrong)
    for limit in (0, 101):
        with pytest.raises(InvalidInput, match="limit"):
            await found(filled, limit=limit)


async def test_what_a_reader_hides_is_counted_and_not_found(filled, record):
    await record.record_interaction("ada", "git", "dismiss")
    await filled.readers.prefer("ada", Preferences(muted_authors=("Okoro",)))
    page = await filled.search.find(SearchRequest("git", user_id="ada"))
    assert (page.items, page.total, page.hidden) == ([], 0, 2)
    page = await filled.search.find(SearchRequest("git"))
    assert (page.total, page.hidden) == (2, 0)


async def test_the_index_is_that_of_the_commit(filled, session_factory):
    assert "git" in await found(filled, "commit")
    await put(filled, {**NOTES[0], "content": "A hook runs before a push."})
    assert await found(filled, "commit") == []
    assert await found(filled, "push") == ["git"]
    await filled.kblocks.delete(["git"])
    assert await found(filled, "push") == []
    await put(filled, {**NOTES[0], "content": "It is back."})
    assert await found(filled, "back") == ["git"]
    upkeep = SearchUpkeep(filled.kblocks._database)
    assert (await upkeep.check())._asdict() == {"kblocks": 5, "missing": 0, "orphaned": 0}


async def test_a_transaction_that_fails_leaves_both_as_they_were(filled, monkeypatch):
    from harken.services.kblocks import store

    async def fail(*_arguments):
        raise RuntimeError("after the index was written")

    monkeypatch.setattr(store, "link", fail)
    with pytest.raises(RuntimeError):
        await put(filled, {"id": "new", "title": "Zebra"})
    monkeypatch.undo()
    assert await found(filled, "zebra") == []
    assert (await SearchUpkeep(filled.kblocks._database).check()).differences == 0


async def test_a_damaged_index_is_found_and_rebuilt(filled, database):
    from sqlalchemy import text

    upkeep = SearchUpkeep(filled.kblocks._database)
    number = "number" if database.is_postgresql else "rowid"
    from harken.database import Kind

    async with database.transaction(Kind.WRITE) as connection:
        for damage in (
            f"DELETE FROM kblock_search WHERE {number} = 1",
            f"UPDATE kblock_search SET digest = 'other' WHERE {number} = 2",
            "UPDATE kblocks SET deleted = true WHERE number = 3",
        ):
            await connection.execute(text(damage))
    assert (await upkeep.check())._asdict() == {"kblocks": 4, "missing": 2, "orphaned": 1}
    assert await upkeep.rebuild() == 3
    assert (await upkeep.check()).differences == 0
    assert "git" in await found(filled, "commit")


async def test_every_word_of_a_long_text_counts_once(feeds):
    many = " ".join(f"w{n}" for n in range(15_000)) + " last" + " common" * 400
    await put(feeds, {"id": "long", "title": "x" * 300, "content": many})
    assert await found(feeds, "last w0 w14999") == ["long"]
    assert await found(feeds, "x" * 300) == ["long"]
    [item] = (await feeds.search.find(SearchRequest("x" * 300 + " last"))).items
    assert item.title == f"<mark>{'x' * 300}</mark>"
    await put(feeds, {"id": "long", "title": "x", "content": "ä" + "y" * 64 + " " + "ß" * 900_00})
    assert await found(feeds, "ss*") == ["long"]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(finding, "CANDIDATES", 12)
    monkeypatch.setattr(finding, "HEADED", 8)
    for module in (finding, matching):
        monkeypatch.setattr(module, "ENOUGH", 12)
    monkeypatch.setattr(matching, "SAMPLE", 4)
    monkeypatch.setattr(finding, "MOST_ORDERED", 7)


@pytest.mark.usefixtures("small")
async def test_pages_lose_and_repeat_nothing_while_everything_changes(feeds, clock):
    rng = random.Random(7)
    notes = [
        {"id": f"k{n:02}", "title": f"Note {n}", "content": "zebra " * rng.randrange(1, 5),
         "tags": ["git"] if n % 2 else []}
        for n in range(40)
    ]  # fmt: skip
    for note in rng.sample(notes, 40):
        await put(feeds, note)
    await put(feeds, {"id": "titled", "title": "Zebra", "created_at": NOW - timedelta(days=900)})
    request = SearchRequest("zebra", limit=5, user_id="ada")
    page = await feeds.search.find(request)
    assert page.items[0].item.id == "titled"  # however old it is
    assert (page.total, page.total_is_exact) == (12, False)
    seen = [each.item.id for each in page.items]
    gone: set[str] = set()
    while page.next_cursor:
        await put(feeds, {"id": f"new{len(seen)}", "title": "zebra zebra"})
        await put(feeds, {**rng.choice(notes), "title": "zebra again"})
        if len(gone) < 2:
            left = [str(note["id"]) for note in notes if note["id"] not in {*seen, *gone}]
            gone.add(left[0])
            await feeds.kblocks.delete([left[0]])
            notes = [note for note in notes if note["id"] != left[0]]
        request = replace(request, cursor=page.next_cursor)
        page = await feeds.search.find(request)
        assert page.offset == len(seen)
        seen += [each.item.id for each in page.items]
    assert page.total_is_exact  # what follows the first ones is read whole
    assert len(seen) == len(set(seen)) == 39
    assert set(seen) == {"titled", *(note["id"] for note in notes)}
    clock.now += timedelta(hours=2)
    with pytest.raises(CursorExpired):
        await feeds.search.find(request)


async def test_a_cursor_is_of_one_search_and_reader(filled):
    page = await filled.search.find(SearchRequest("git", limit=1))
    assert len(page.next_cursor) < 300
    again = SearchRequest("git", limit=1, cursor=page.next_cursor)
    assert (await filled.search.find(again)).items[0].item.id != page.items[0].item.id
    for other in (
        replace(again, q="hooks"), replace(again, user_id="ada"), replace(again, tag="git"),
        replace(again, cursor=page.next_cursor + "x"), replace(again, cursor="é"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match="cursor"):
            await filled.search.find(other)


async def test_a_search_writes_nothing(filled, database):
    from sqlalchemy import text

    async def count() -> list[int]:
        async with database.reading() as connection:
            tables = ("feed_slates", "feed_orders", "feed_interactions")
            return [
                (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
                for table in tables
            ]

    await found(filled, "git", limit=1)
    assert await count() == [0, 0, 0]


async def test_a_search_in_what_a_reader_saved_and_read(filled):
    await filled.record.record_interaction("ada", "git", "engage", interaction_type="save")
    await filled.reading.store.mark_read("ada", ["bread"])
    assert await found(filled, user_id="ada", feed="saved") == ["git"]
    assert await found(filled, "git", user_id="ada", feed="saved") == ["git"]
    assert await found(filled, user_id="ada", feed="history") == ["bread"]
    for feed in ("saved", "history"):
        assert await found(filled, user_id="bob", feed=feed) == []
        assert await found(filled, feed=feed) == []
