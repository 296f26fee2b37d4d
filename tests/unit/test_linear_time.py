"""Texts of untrusted files for which a pattern that backtracks would take hours."""

from collections.abc import Callable
from typing import Any

import pytest

from harken.services.kblocks.importers.front_matter import split_front_matter
from harken.services.kblocks.importers.links import title_of
from harken.services.kblocks.importers.note_fields import read_note_fields
from harken.services.kblocks.search.analysis import plain

MANY = 400_000
WITHIN = 60_000
"""As much as there may be of a front matter."""


def fields_of(text: str) -> Any:
    return read_note_fields(split_front_matter(text))


def front_matter(lines: str) -> str:
    return f"---\n{lines}\n---\nText.\n"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("read", "text"),
    [
        (lambda text: plain(text, MANY), "<" + "a" * MANY),
        (lambda text: plain(text, MANY), "<a" * (MANY // 2)),
        (lambda text: plain(text, MANY), "](" * (MANY // 2)),
        (title_of, "# a" + " " * MANY + "b"),
        (title_of, "# a" + " #" * (MANY // 2) + "b"),
        (title_of, "\n" * MANY + "# a" + "\t" * MANY + "b\n"),
        (fields_of, front_matter("tags:\n- #a" + " " * WITHIN + "x")),
        (fields_of, front_matter("tags: #a" + " \t" * (WITHIN // 2) + "x")),
        (fields_of, front_matter("author: '[[" + "a" * WITHIN + "'")),
        (fields_of, front_matter("date: '[[" + "a" * WITHIN + "'")),
        (fields_of, front_matter("tags: ['[[" + "a|" * (WITHIN // 2) + "']")),
    ],
    ids=[
        "a tag without an end",
        "many tags",
        "many links",
        "spaces in a heading",
        "closing marks in a heading",
        "lines before a heading",
        "spaces after a hashed tag",
        "blanks after a hashed tag",
        "a long author",
        "a long date",
        "a long tag",
    ],
)
def test_the_time_goes_with_the_length(read: Callable[[str], Any], text: str):
    read(text)


@pytest.mark.parametrize(
    ("line", "title"),
    [("# A title ##  ", "A title"), ("# A #1 #", "A #1"), ("# C#", "C#"), ("#  a\t#\r", "a")],
)
def test_closing_marks_of_a_heading_are_not_of_its_title(line, title):
    assert title_of(f"{line}\n\nText.") == title
