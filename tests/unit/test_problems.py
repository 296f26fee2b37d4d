"""What is said of a wrong input is short, however large the input is."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.domain.declarations import declare
from harken.domain.feedback import Interaction, canonical_json
from harken.domain.kblock import KBlock
from harken.domain.preferences import Preferences
from harken.errors import MOST_PROBLEMS, InvalidInput, Problem, UnknownFeed, quoted

MOST = 25_000

LONG = st.sampled_from(["x", "\x00", "\n", "é", "\U0001f600", "\ud800"]).flatmap(
    lambda one: st.integers(0, 100_000).map(lambda count: one * count)
)
SIMPLE = st.none() | st.booleans() | st.integers() | st.just(10**4_000) | st.floats() | LONG
EXTREME = st.one_of(
    SIMPLE,
    st.builds(lambda each, count: [each] * count, SIMPLE, st.integers(0, 3_000)),
    st.builds(lambda each, count: [{"a": each}] * count, SIMPLE, st.integers(0, 1_000)),
    st.builds(
        lambda each, count: {f"k{i}": each for i in range(count)}, SIMPLE, st.integers(0, 3_000)
    ),
)


def assert_short(error: InvalidInput) -> None:
    assert 1 <= len(error.problems) <= MOST_PROBLEMS
    assert len(json.dumps(str(error))) <= MOST
    assert all(each.field.isprintable() for each in error.problems)


# The machine may be slow; what is bounded here is length.
slowly = settings(deadline=None)


@slowly
@given(st.lists(st.builds(Problem, LONG, LONG), min_size=1, max_size=50))
def test_problems_are_few_and_short(problems):
    error = InvalidInput(*problems)
    assert len(error.problems) == min(len(problems), MOST_PROBLEMS)
    if len(problems) > MOST_PROBLEMS:
        hidden = len(problems) - MOST_PROBLEMS + 1
        assert error.problems[-1] == Problem("", f"and {hidden} more problems")
    assert len(str(error)) < MOST


@slowly
@given(LONG)
def test_quotes_are_short_and_can_be_written(text):
    written = quoted(text)
    assert len(written) < 1_100
    assert written.isprintable()
    assert written.startswith("'")
    assert_short(UnknownFeed(text, ["cosmos"]))


READ = {
    "event": (Interaction.parse, {"user_id": "u", "kblock_id": "k", "action": "view"}),
    "kblock": (KBlock.parse, {"id": "k", "title": "t"}),
    "preferences": (Preferences.parse, {}),
    "feed": (lambda fields: declare("mine", fields), {}),
}
NAMES = {
    "event": list(Interaction.model_fields),
    "kblock": list(KBlock.model_fields),
    "preferences": list(Preferences.model_fields),
    "feed": ["description", "sources", "filters", "max_loss", "ranking", "weights"],
}


@pytest.mark.parametrize("kind", READ)
@slowly
@given(data=st.data())
def test_whatever_comes_in_the_problems_are_short(kind, data):
    read, good = READ[kind]
    names = st.sampled_from(NAMES[kind]) | LONG
    fields = good | data.draw(st.dictionaries(names, EXTREME, max_size=4))
    try:
        read(fields)
    except InvalidInput as error:
        assert_short(error)


@slowly
@given(EXTREME)
def test_metadata_is_stored_or_refused_shortly(value):
    try:
        text = canonical_json({"a": value})
    except InvalidInput as error:
        assert_short(error)
    else:
        assert len(text.encode()) <= 16 * 1024


@pytest.mark.parametrize(
    "number", [10**300, -(10**300), 10**4_000], ids=["long", "negative", "longer"]
)
def test_metadata_with_numbers_that_few_readers_hold(number):
    with pytest.raises(InvalidInput, match="whole numbers of over 300 digits"):
        canonical_json({"a": [{"b": number}]})
    assert canonical_json({"a": str(number), "b": 10**299})
