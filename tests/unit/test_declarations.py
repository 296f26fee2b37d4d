"""Feeds that come in as JSON: what makes sense, what does not, and what they select."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.domain.decay import MOST_HALF_LIVES
from harken.domain.declarations import (
    OPERATORS,
    Declaration,
    check_feed_id,
    declaration,
    declare,
    declared,
)
from harken.domain.feeds import DEFAULT_FEEDS, Field, Operator
from harken.domain.stored_kblock import source_key
from harken.domain.times import micros
from harken.errors import InvalidInput
from harken.services.index.index import Index
from harken.services.index.rows import OPEN, IndexRow
from harken.services.index.selection import select

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MICROS = micros(NOW)
DAY = 86_400 * 1_000_000

LABELS = st.sampled_from(["a", "b", "é", "c d"])
KEYS = LABELS.map(source_key)
LOSSES = st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0, 1.5])
SPANS = st.integers(0, 8).map(lambda days: f"{days}d") | st.integers(0, 200).map(
    lambda hours: f"{hours}h"
)
TIMES = st.integers(-1, 9).map(lambda days: (NOW - timedelta(days=days)).isoformat())
VALUES: dict[Field, st.SearchStrategy[Any]] = {
    Field.LAYER: st.integers(0, 7),
    Field.LOSS: LOSSES,
    Field.CREATED: SPANS | TIMES,
    **dict.fromkeys((Field.KIND, Field.AUTHOR, Field.TAG, Field.PRINCIPLE), LABELS),
    Field.SOURCE: KEYS,
}


@st.composite
def filters(draw) -> dict[str, Any]:
    field = draw(st.sampled_from(Field))
    operator = draw(st.sampled_from(OPERATORS[field]))
    value = draw(VALUES[field])
    if operator is Operator.BETWEEN:
        ends = [value, draw(VALUES[field])]
        value = sorted(ends, key=lambda end: moment(end) if field is Field.CREATED else end)
    return {"field": field.value, "operator": operator.value, "value": value}


SOURCES = st.one_of(
    st.just({"kind": "all"}),
    st.just({"kind": "conflicts"}),
    st.fixed_dictionaries({"kind": st.just("layer"), "value": st.integers(0, 7)}),
    st.fixed_dictionaries({"kind": st.sampled_from(["author", "tag"]), "value": LABELS}),
    st.fixed_dictionaries({"kind": st.just("source"), "value": KEYS}),
)
DECLARATIONS = st.fixed_dictionaries(
    {
        "sources": st.lists(SOURCES, min_size=1, max_size=3),
        "filters": st.lists(filters(), max_size=3),
    },
    optional={"max_loss": st.sampled_from([0, 0.5, 1])},
)
ENTRIES = st.lists(
    st.builds(
        IndexRow,
        number=st.just(0),
        version=st.just(1),
        created=st.integers(-1, 9 * 24).map(lambda hours: MICROS - hours * DAY // 24),
        layer=st.none() | st.integers(0, 7),
        galois_loss=st.none() | LOSSES,
        kind=LABELS,
        author=st.none() | LABELS,
        tags=st.lists(LABELS, max_size=2, unique=True).map(json.dumps),
        principles=st.lists(LABELS, max_size=2, unique=True).map(json.dumps),
        source=st.none() | LABELS,
        in_conflict=st.booleans(),
        popularity=st.just(0),
        attention=st.just(0.0),
        until=st.just(OPEN),
        trends=st.just((0.0,) * MOST_HALF_LIVES),
    ),
    max_size=30,
)


def moment(value: str) -> int:
    if value[-1] in "dh":
        return MICROS - int(value[:-1]) * (DAY if value[-1] == "d" else DAY // 24)
    return micros(datetime.fromisoformat(value))


def in_source(entry: IndexRow, source: dict[str, Any]) -> bool:
    value = source.get("value")
    return {
        "all": True,
        "conflicts": entry.in_conflict,
        "layer": entry.layer == value,
        "author": entry.author == value,
        "tag": value in json.loads(entry.tags),
        "source": entry.source is not None and source_key(entry.source) == value,
    }[source["kind"]]


def value_of(entry: IndexRow, field: str) -> Any:
    if field == "source":
        return None if entry.source is None else source_key(entry.source)
    return getattr(entry, {"created_at": "created"}.get(field, field))


def passes(entry: IndexRow, condition: dict[str, Any]) -> bool:
    field, operator, value = condition["field"], condition["operator"], condition["value"]
    if field in ("tag", "principle"):
        labels = json.loads(entry.tags if field == "tag" else entry.principles)
        return {"contains": value in labels}[operator]
    found = value_of(entry, field)
    if found is None:
        return False
    if field == "created_at":
        value = [moment(v) for v in value] if operator == "between" else moment(value)
    match operator:
        case "lt":
            return bool(found < value)
        case "gt":
            return bool(found > value)
        case "between":
            return bool(value[0] <= found <= value[1])
        case "eq":
            return bool(found == value)
    raise AssertionError(f"this test does not know {operator}")


@settings(max_examples=300, deadline=None)
@given(declared_by=DECLARATIONS, entries=ENTRIES)
def test_a_declaration_selects_what_it_says(declared_by, entries):
    entries = [entry._replace(number=i) for i, entry in enumerate(entries, 1)]
    index = Index(MICROS)
    index.put(entries)
    feed = declare("mine", declared_by)
    most = declared_by.get("max_loss")
    expected = [
        any(in_source(entry, source) for source in declared_by["sources"])
        and all(passes(entry, condition) for condition in declared_by["filters"])
        and (most is None or (entry.galois_loss is not None and entry.galois_loss <= most))
        for entry in entries
    ]
    for _ in range(2):  # computed, and remembered
        mask = select(index, feed.sources, feed.conditions(), index.revision, MICROS)
        assert mask.tolist() == expected
    # What is kept of it means the same.
    kept = declared("mine", json.dumps(declaration(feed)))
    assert kept == feed
    assert declare("mine", declaration(kept)) == feed


def test_spans_are_counted_from_the_first_page_each_time():
    index = Index(MICROS)
    index.put(
        [IndexRow(i, 1, MICROS - i * DAY, None, None, "", None, "[]", "[]") for i in range(1, 9)]
    )
    feed = declare("f", {"filters": [{"field": "time", "operator": "gt", "value": "3d"}]})
    for days, count in ((0, 2), (1, 1), (2, 0), (-2, 4), (0, 2)):
        mask = select(index, feed.sources, feed.conditions(), index.revision, MICROS + days * DAY)
        assert np.count_nonzero(mask) == count


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([], "must be a JSON object"),
        ({"source": []}, "source: is not a known field; known are description, sources, filters"),
        ({"sources": []}, "sources: must not be empty; leave it out"),
        ({"sources": [{"kind": "author"}]}, r"sources\.0: value: must be a text"),
        (
            {"sources": [{"kind": "all", "value": 1}]},
            r"sources\.0: value: must be left out for all",
        ),
        (
            {"sources": [{"kind": "layer", "value": 8}]},
            "a layer must be a whole number from 0 to 7",
        ),
        ({"sources": [{"kind": "layer", "value": True}]}, "a layer must be a whole number"),
        ({"sources": [{"kind": "feed"}]}, r"sources\.0\.kind: Input should be 'all', 'layer'"),
        ({"sources": [{"kind": "all"}] * 17}, "at most 16 items"),
        ({"ranking": "best"}, "ranking: 'best' is unknown"),
        ({"weights": {"recency": 1}}, "weights: go with ranking=weighted only"),
        ({"ranking": "weighted", "weights": {"beauty": 1}}, "'beauty' is unknown"),
        ({"max_loss": 1.1}, "max_loss: Input should be less than or equal to 1"),
        ({"description": "x" * 501}, "description: .* at most 500"),
    ],
)
def test_what_cannot_be_declared(fields, message):
    with pytest.raises(InvalidInput, match=message):
        declare("mine", fields)


@pytest.mark.parametrize(
    ("field", "operator", "value", "message"),
    [
        ("colour", "eq", 1, "field: 'colour' is unknown; known are layer, galois_loss, created_at"),
        ("tag", "lt", "a", "operator: tag allows contains, not 'lt'"),
        ("author", "contains", "a", "operator: author allows eq, not 'contains'"),
        ("layer", "contains", 1, "operator: layer allows eq, lt, gt, between, not 'contains'"),
        ("created_at", "eq", "7d", "created_at allows lt, gt, between, not 'eq'"),
        ("layer", "eq", "1", "value: a layer must be a whole number from 0 to 7"),
        ("layer", "between", 3, r"between takes a list of two, such as \[1, 3\]"),
        ("layer", "between", [3, 1], "the first of the two must not be greater than the second"),
        ("loss", "gt", float("nan"), "value: a loss must be a number from 0 to 1000000"),
        ("loss", "gt", 10**400, "value: a loss must be a number"),
        ("loss", "gt", -1, "value: a loss must be a number"),
        ("loss", "gt", True, "value: a loss must be a number"),
        ("time", "gt", "2026-01-01T00:00:00", "must be a time with its offset from UTC"),
        ("time", "gt", "0001-01-01T00:00:00+14:00", "must be a time with its offset from UTC"),
        ("time", "gt", "7 days", "or a duration before the first page, such as 30min, 12h"),
        ("time", "gt", "999999999w", "of at most 36500 days"),
        ("time", "gt", 7, "must be a time with its offset from UTC"),
        ("time", "between", ["1d", "7d"], "the first of the two must not be greater"),
        ("kind", "eq", "", "value: String should have at least 1 character"),
        ("tag", "contains", ["a"], "value: must be a text"),
        ("tag", "contains", "a\x00", "must not contain"),
    ],
)
def test_what_a_filter_cannot_say(field, operator, value, message):
    condition = {"field": field, "operator": operator, "value": value}
    with pytest.raises(InvalidInput, match=rf"filters\.0: .*{message}"):
        declare("mine", {"filters": [condition]})


def test_names_of_feeds():
    for fine in ("mine", "a", "Of-Ada_2.1", "x" * 64):
        check_feed_id(fine)
    for wrong, message in (
        ("cosmos", "is a default feed of Harken"), ("config", "is reserved"),
        ("", "must be 1 to 64 letters"), ("x" * 65, "must be"), ("a/b", "must be"),
        ("-a", "a letter or digit first"), ("é", "must be"), ("a\n", "must be"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match=f"id: .*{message}"):
            check_feed_id(wrong)


def test_the_default_feeds_can_be_declared():
    for feed in DEFAULT_FEEDS.values():
        fields = declaration(feed)
        again = declare(feed.name, fields)
        assert declaration(again) == fields
        assert Declaration.model_validate(fields).sources


def test_what_is_left_out_is_as_in_cosmos():
    feed, cosmos = declare("mine", {}), DEFAULT_FEEDS["cosmos"]
    assert (feed.sources, feed.filters, feed.ranking) == (
        cosmos.sources, cosmos.filters, cosmos.ranking,
    )  # fmt: skip
