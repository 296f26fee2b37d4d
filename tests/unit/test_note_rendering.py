"""Malicious content: rendering has limits, and its result is cached."""

import asyncio
import sys
from html import unescape
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.domain.kblock import MAX_CONTENT_BYTES
from harken.protocols.pages import note_rendering
from harken.protocols.pages.content import MOST_HTML, Source, render
from harken.protocols.pages.note_rendering import SIMPLE_CHARACTERS, SIMPLE_MARKS, NoteRenderer
from harken.services.kblocks import text
from harken.services.kblocks.text import PREVIEW_LENGTH, is_simple, preview

AS_WRITTEN = "is too complex to be formatted"
UNITS = [
    "[", "![", "]", "*", "_", "**a", "`", "<", "&", "&amp;", "\\", ">", "> ", "- ", "* a\n", "1. ",
    "|", "#", "~", "[a](", "[a](<", "[[", "[[a]]", "[a]: b\n", "<a ", "<!--", "<?", "a*b_",
    "![[]()",
    "[a](b)", "<div>", "<b><p>", "</b>", "`a``b", "- a\n  ", "a\n=\n", "&#0;", "<http://a>", "[a][",
    "*[", "_[", "`[", "[^", "=\n", "<h1>", "|\n", "a|", "\n\n", "    a\n", "~~a", "word ",
]  # fmt: skip


def source(content, **more):
    plain: Any = {"id": "a", "path": None, "title": "A title", "content": content, "known": []}
    return cast(Source, plain | more)


def filled(unit, length, before=""):
    return before + (unit * (length // len(unit) + 1))[: length - len(before)]


def a_table(columns, rows):
    return "|" + "a|" * columns + "\n|" + "-|" * columns + "\n" + "|\n" * rows


def nested(length):
    return "".join(" " * (2 * n) + "- a\n" for n in range(int(length**0.5)))[:length]


class Parses(list):
    """Which contents were parsed by this process."""


@pytest.fixture
def parses(monkeypatch):
    seen = Parses()

    def render_and_tell(given):
        seen.append(given["content"])
        return render(given)

    monkeypatch.setattr(note_rendering, "render", render_and_tell)
    return seen


# What is simple is parsed here, and nothing else


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(UNITS), st.integers(1, 5_000)), max_size=4))
def test_what_is_simple_takes_work_that_goes_with_its_length(parts):
    """The work is counted: how often the parser's rules are asked, and how many tokens it makes."""
    content = "".join(unit * count for unit, count in parts)[:SIMPLE_CHARACTERS]
    if not is_simple(content, SIMPLE_MARKS):
        return
    asked = 0

    def count(frame, event, _arg):
        nonlocal asked
        asked += event == "call"

    sys.setprofile(count)
    try:
        render(source(content))
    finally:
        sys.setprofile(None)
    assert asked < 20_000 + 300 * SIMPLE_MARKS + 100 * len(content)


@pytest.mark.parametrize("length", [40_000, 1_000_000])
@pytest.mark.parametrize("unit", UNITS)
async def test_no_other_is_parsed_by_this_process(parses, unit, length):
    asked = NoteRenderer((sys.executable, "-c", "print('<p>By a child.</p>')"))
    for content in (filled(unit, length), filled(unit, length, "<p>")):
        assert await asked.html(source(content)) == "<p>By a child.</p>\n"
    assert parses == []


def test_a_table_is_as_large_as_its_widest_row_makes_all():
    assert is_simple(a_table(10, 50), 10_000)
    assert not is_simple(a_table(500, 1_000), 10_000)


# The worst, by the real child


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [*(filled(unit, 1_000_000) for unit in ("[", "![", "*[")), filled("<b>", 1_000_000, "<p>")],
    ids=["brackets", "pictures", "stars", "tags"],
)  # fmt: skip
async def test_the_worst_has_an_end_and_is_kept(content):
    notes = NoteRenderer()
    html = await notes.html(source(content))
    assert len(html) <= MOST_HTML
    if AS_WRITTEN in html:
        assert unescape(html.partition("<pre")[2]).partition(">")[2].startswith(content)
    kept = NoteRenderer.html
    notes._program = ("/no/such/program",)
    assert await kept(notes, source(content)) == html


async def test_a_long_note_is_formatted():
    known = [{"id": "two", "path": "two.md", "title": "Two", "address": "/kblock?id=two"}]
    content = "# A title\n\nSome *words* and [[two]] <script>x</script>.\n\n" * 2_000
    html = await NoteRenderer().html(source(content, known=known))
    assert html == render(source(content, known=known))
    assert '<a class="note" href="/kblock?id=two"' in html
    assert AS_WRITTEN not in html


@pytest.mark.slow
async def test_others_are_answered_meanwhile():
    """Another process renders: in this one, the whole note would be one turn of the event loop."""
    notes, turns = NoteRenderer(), 0
    task = asyncio.create_task(notes.html(source(filled("[", MAX_CONTENT_BYTES))))
    while not task.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert AS_WRITTEN in await task
    assert turns > 10


# What is kept


async def test_the_same_is_rendered_once_and_another_anew(parses):
    notes = NoteRenderer()
    first = source("Some *words*.")
    assert await notes.html(first) == "<p>Some <em>words</em>.</p>\n"
    assert await notes.html(source("Some *words*.")) == "<p>Some <em>words</em>.</p>\n"
    assert len(parses) == 1
    known = [{"id": "two", "path": None, "title": "Two", "address": "/kblock?id=two"}]
    for other in (source("Some."), source("Some *words*.", title="B"), first | {"known": known}):
        await notes.html(other)
    assert len(parses) == 4


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 200)), max_size=30))
@settings(deadline=None, max_examples=50)
def test_no_more_is_kept_than_said(asked):
    notes = NoteRenderer(kept_bytes=500)

    async def ask():
        for name, length in asked:
            await notes.html(source("é" * length, id=str(name)))
            assert notes.size <= 500
            assert notes.size == sum(map(len, notes._kept.values()))

    asyncio.run(ask())


# When the child fails

FAILING = [
    ("raise SystemExit('it is too large')", False),
    ("import os; os.abort()", False),
    ("while True: pass", True),
]


@pytest.mark.parametrize(("program", "is_tried_again"), FAILING)
async def test_what_cannot_be_formatted_is_shown_as_written(monkeypatch, program, is_tried_again):
    monkeypatch.setattr(note_rendering, "CHILD_SECONDS", 0.5)
    monkeypatch.setattr(note_rendering, "RETRY_SECONDS", 3600.0)
    notes = NoteRenderer((sys.executable, "-c", program))
    content = filled("<b>[&", 20_000)
    html = await notes.html(source(content))
    assert AS_WRITTEN in html
    assert unescape(html.partition("<pre")[2]).partition(">")[2] == content + "</pre>"
    notes._program = (sys.executable, "-c", "print('<p>By a child.</p>')")
    assert await notes.html(source(content)) == html
    # Where the machine was at its limit, it may be idle an hour later.
    notes._retry_at = dict.fromkeys(notes._retry_at, 0.0)
    later = await notes.html(source(content))
    assert later == ("<p>By a child.</p>\n" if is_tried_again else html)
    assert notes.size == len(later)


async def test_who_waits_for_others_too_long_gets_it_as_written(monkeypatch):
    monkeypatch.setattr(note_rendering, "QUEUE_SECONDS", 0.1)
    notes = NoteRenderer((sys.executable, "-c", "import time; time.sleep(3)"))
    first = asyncio.create_task(notes.html(source(filled("[", 20_000))))
    await asyncio.sleep(0)  # it has its turn
    assert AS_WRITTEN in await notes.html(source(filled("]", 20_000)))
    assert await first == ""


# Previews


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(UNITS), st.integers(1, 3_000)), max_size=4))
def test_a_preview_is_short_and_takes_little(parts):
    content = "".join(unit * count for unit, count in parts)
    asked = 0

    def count(frame, event, _arg):
        nonlocal asked
        asked += event == "call"

    sys.setprofile(count)
    try:
        found = preview(content)
    finally:
        sys.setprofile(None)
    assert len(found) <= PREVIEW_LENGTH
    assert asked < 600_000


def test_a_preview_of_what_is_made_to_take_long_is_what_was_written():
    assert preview("![" * 5_000).startswith("![![")
    assert preview(a_table(500, 1_000)).startswith("|a|a|")
    assert preview("Some *words* and [a link](https://a.example). " * 90).startswith("Some words")
    assert text.is_simple("Some *words* and [a link](https://a.example). " * 85, text._PARSED_MARKS)
