"""The JSON of a page, and its cursor, are written in few steps, and are those of the long way."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from harken.domain.exploration import Variety
from harken.domain.feeds import Signal
from harken.domain.slates import (
    Contribution,
    Cursor,
    FeedPage,
    Item,
    Key,
    Reason,
    Reference,
    ShownKBlock,
    SourceReference,
    Trial,
)
from harken.domain.times import EARLIEST_TIME, LATEST_TIME, from_micros, micros
from harken.errors import CursorExpired, InvalidInput
from harken.protocols import presentation
from harken.services.feed.pagination import CursorCodec
from harken.services.record.reading.store import States

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.integers(micros(EARLIEST_TIME), micros(LATEST_TIME)).map(from_micros)


def maybe(values):
    return st.none() | values


KBLOCKS = st.builds(
    ShownKBlock, id=TEXTS, title=TEXTS, path=maybe(TEXTS), preview=TEXTS,
    layer=maybe(st.integers(0, 7)), kind=TEXTS, author=maybe(TEXTS), tags=st.lists(TEXTS),
    galois_loss=maybe(NUMBERS), source=maybe(st.builds(SourceReference, TEXTS, TEXTS)),
    created_at=TIMES,
)  # fmt: skip
PARTS = st.builds(Contribution, NUMBERS, NUMBERS, NUMBERS)
REASONS = st.builds(Reason, TEXTS, TEXTS, TEXTS, st.dictionaries(TEXTS, NUMBERS))
ITEMS = st.builds(
    Item, KBLOCKS, NUMBERS, NUMBERS, st.integers(0, 2**31),
    contradicts=maybe(st.lists(TEXTS)),
    explanation=maybe(st.dictionaries(TEXTS, PARTS)), reasons=maybe(st.lists(REASONS)),
    close_to=maybe(st.builds(Reference, TEXTS, TEXTS)), propensity=maybe(NUMBERS),
)  # fmt: skip
TRIALS = st.builds(Trial, TEXTS, st.integers(1, 9), TEXTS)
PAGES = st.builds(
    FeedPage, st.lists(ITEMS, max_size=3), total=st.integers(0), has_more=st.booleans(),
    offset=st.integers(0), limit=st.integers(1), next_cursor=maybe(TEXTS), request_id=TEXTS,
    personalization=maybe(TEXTS), model=maybe(TEXTS), fallback=maybe(TEXTS), trial=maybe(TRIALS),
    candidates=maybe(st.integers(0)),
)  # fmt: skip
CURSORS = st.builds(
    Cursor, TEXTS, TIMES, TEXTS, maybe(TEXTS), TEXTS, TEXTS,
    st.dictionaries(st.sampled_from(Signal), NUMBERS), maybe(NUMBERS), maybe(NUMBERS),
    *[st.integers(0, 2**53)] * 3, maybe(st.builds(Key, st.integers(), st.integers())),
    st.builds(Variety, NUMBERS, maybe(st.integers(0)), explore=maybe(TEXTS)), maybe(TRIALS),
)  # fmt: skip


@given(PAGES, st.sets(st.integers(0, 2)), st.booleans(), st.booleans())
def test_the_json_of_a_page_is_that_of_its_form(page, read, has_states, is_covered):
    ids = frozenset(item.id for place, item in enumerate(page.items) if place in read)
    states = States(ids, ids) if has_states else None
    more = {"after_event": "included"} if is_covered else {}
    long_way = to_json(presentation.page(page, states) | more)
    assert presentation.page_as_json(page, states, more) == long_way
    assert presentation.page_as_json(page, states, more) == long_way  # by what is kept


@given(CURSORS)
def test_a_cursor_is_read_as_it_was_written(cursor):
    codec = CursorCodec("secret")
    text = codec.encode(cursor)
    # A time is written as a double: to the microsecond in the present, not in the year 1000.
    read = codec.decode(text, cursor.started_at)
    assert abs(read.started_at - cursor.started_at) < timedelta(milliseconds=1)
    assert codec.encode(read) == text
    with pytest.raises(CursorExpired):
        codec.decode(text, cursor.started_at + timedelta(hours=2))
    for wrong in (CursorCodec("other"), codec):
        with pytest.raises(InvalidInput):
            wrong.decode(text if wrong is not codec else f"{text}x", NOW)
