"""Each signal, filter and order, against a computation of a few lines on the same data."""

import math
import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from harken.domain.decay import OFFSET
from harken.domain.feeds import (
    DEFAULT_FEEDS,
    DEFAULT_WEIGHTS,
    RANKINGS,
    Feed,
    FeedFilter,
    FeedSource,
    Field,
    Operator,
    Signal,
    Source,
    parse_weights,
    weights_of,
)
from harken.errors import InvalidInput
from harken.services.index.index import Index
from harken.services.index.ordering import Reader, best, best_by, explain, leading, scores
from harken.services.index.rows import IndexRow
from harken.services.index.selection import select

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MICROS = int(NOW.timestamp() * 1e6)
DAY = 86_400 * 1_000_000
HALF_LIFE = timedelta(hours=6)


def entries(count: int, seed: int) -> list[IndexRow]:
    chance = random.Random(seed)
    return [
        IndexRow(
            number=number,
            version=1,
            created=MICROS - chance.randrange(-2 * DAY, 400 * DAY),
            layer=chance.choice([None, *range(8)]),
            galois_loss=chance.choice([None, chance.random(), 1.7 * chance.random(), 0.0, 0.5]),
            kind="note",
            author=chance.choice([None, "mira", "okoro"]),
            tags=chance.choice(["[]", '["a"]', '["a", "b"]']),
            principles=chance.choice(["[]", '["p"]', '["p", "q", "r"]']),
            in_conflict=chance.random() < 0.1,
            popularity=chance.randrange(100),
            attention=chance.choice([0.0, chance.random()]),
            trends=(chance.choice([0.0, OFFSET * chance.uniform(-1, 1)]), 0.0, 1.0),
        )
        for number in range(1, count + 1)
    ]


def indexed(rows: list[IndexRow], landmark: int = MICROS) -> Index:
    index = Index(landmark, [HALF_LIFE])
    index.put(rows)
    return index


def by_hand(entry: IndexRow, declared: tuple[str, ...], now: int) -> dict[Signal, float]:
    has = {each for each in "pqr" if f'"{each}"' in entry.principles}
    age_days = max(now - entry.created, 0) / DAY
    loss = entry.galois_loss
    return {
        Signal.ATTENTION: entry.attention,
        Signal.PRINCIPLES: sum(p in has for p in declared) / len(declared) if declared else 0.5,
        Signal.RECENCY: 2 ** (-age_days / 7),
        Signal.COHERENCE: 0.5 if loss is None else 1 - min(loss, 1),
        Signal.POPULARITY: entry.popularity,
        Signal.TRENDING: entry.trends[0],
    }


@pytest.mark.parametrize("declared", [(), ("p",), ("p", "q", "z")])
@pytest.mark.parametrize("landmark", [MICROS, MICROS - 300 * DAY])
def test_signals_and_sums_are_those_of_the_formulas(declared, landmark):
    rows = entries(500, seed=1)
    index, reader = indexed(rows, landmark), Reader(declared, MICROS)
    weights = {**DEFAULT_WEIGHTS, Signal.POPULARITY: -0.01}
    total = scores(index, weights, reader, np.arange(len(rows)))
    explained = explain(index, weights, reader, np.arange(len(rows)))
    for place, entry in enumerate(rows):
        expected = by_hand(entry, declared, MICROS)
        parts = explained[place]
        for signal, weight in weights.items():
            part = parts[signal.value]
            assert part.value == pytest.approx(expected[signal], abs=1e-6)
            assert part.contribution == pytest.approx(weight * expected[signal], abs=1e-6)
        assert total[place] == pytest.approx(
            sum(weights[signal] * expected[signal] for signal in weights), abs=1e-6
        )
        assert sum(part.contribution for part in parts.values()) == pytest.approx(total[place])


@pytest.mark.parametrize("name", sorted(set(RANKINGS) - {"personal"}))
@pytest.mark.parametrize("count", [1, 20, 300, 1_000])
def test_an_order_is_by_score_then_time_then_arrival(name, count):
    rows = entries(300, seed=2)
    index, ranking, reader = indexed(rows), RANKINGS[name], Reader(("p",), MICROS, HALF_LIFE)
    weights = DEFAULT_WEIGHTS if ranking.weights is None else ranking.weights

    def key(entry: IndexRow) -> tuple[float, ...]:
        values = by_hand(entry, ("p",), MICROS)
        score = sum(weight * values[signal] for signal, weight in weights.items())
        loss = 0.5 if entry.galois_loss is None else entry.galois_loss
        beyond = {"coherence": -loss, "incoherence": loss}.get(name, 0)
        return round(score, 12), beyond, entry.created, entry.number

    expected = [e.number for e in sorted(rows, key=key, reverse=True)]
    everything = np.ones(len(index), np.bool_)
    if ranking.is_chronological:
        found = index.number[index.newest(everything, count)]
    else:
        found = index.number[best(index, weights, reader, everything, count)]
    assert found.tolist() == expected[:count]


def chosen(index: Index, feed: Feed, max_loss: float | None = None) -> set[int]:
    mask = select(index, feed.sources, feed.conditions(max_loss), index.revision)
    return set(index.number[mask].tolist())


def test_the_default_feeds_hold_what_they_say():
    rows = entries(500, seed=3)
    index = indexed(rows)

    def those(condition) -> set[int]:
        return {entry.number for entry in rows if condition(entry)}

    def at_most(most):
        return those(lambda e: e.galois_loss is not None and e.galois_loss <= most)

    feeds = DEFAULT_FEEDS
    assert chosen(index, feeds["cosmos"]) == {entry.number for entry in rows}
    assert chosen(index, feeds["coherent"]) == at_most(0.2)
    assert chosen(index, feeds["coherent"], max_loss=1.0) == at_most(1.0)
    assert chosen(index, feeds["coherent"], max_loss=0.0) == at_most(0.0) != set()
    assert chosen(index, feeds["contradictions"]) == those(lambda e: e.in_conflict)
    assert chosen(index, feeds["axioms"]) == those(lambda e: e.layer in (1, 2))
    assert chosen(index, feeds["handwavy"]) == those(
        lambda e: e.layer == 3 and e.galois_loss is not None and e.galois_loss > 0.5
    )


def test_unknown_losses_pass_no_filter():
    index = indexed([e._replace(galois_loss=None) for e in entries(50, seed=4)])
    for operator, value in (
        (Operator.LT, 9.0), (Operator.GT, -9.0), (Operator.BETWEEN, (-9.0, 9.0)),
        (Operator.EQ, 0.5),
    ):  # fmt: skip
        feed = Feed("f", "", filters=(FeedFilter(Field.LOSS, operator, value),))
        assert chosen(index, feed) == set()
    assert chosen(index, DEFAULT_FEEDS["coherent"], max_loss=1.0) == set()


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (FeedFilter(Field.TAG, Operator.LT, "b"), "labels are not compared by lt"),
        (FeedFilter(Field.LAYER, Operator.CONTAINS, 3), "numbers are not compared by contains"),
    ],
)
def test_an_operator_of_another_kind_of_field_selects_nothing_silently(condition, message):
    with pytest.raises(ValueError, match=message):
        chosen(indexed(entries(20, seed=4)), Feed("f", "", filters=(condition,)))


def test_a_sixth_feed_is_a_declaration():
    rows = entries(300, seed=5)
    index = indexed(rows)
    feed = Feed(
        "mine",
        "of two sources, less what filters refuse",
        sources=(FeedSource(Source.AUTHOR, "mira"), FeedSource(Source.TAG, "b")),
        filters=(
            FeedFilter(Field.PRINCIPLE, Operator.CONTAINS, "q"),
            FeedFilter(Field.LAYER, Operator.LT, 4),
            FeedFilter(Field.CREATED, Operator.GT, MICROS - 200 * DAY),
        ),
    )
    expected = {
        e.number
        for e in rows
        if (e.author == "mira" or '"b"' in e.tags)
        and '"q"' in e.principles
        and e.layer is not None and e.layer < 4
        and e.created > MICROS - 200 * DAY
    }  # fmt: skip
    assert chosen(index, feed) == expected != set()


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf, 1e308, -1_000_001, True])
def test_weights_are_finite(weight):
    with pytest.raises(InvalidInput, match=r"weights\.attention: must be a number from -1"):
        weights_of({"attention": weight})


def test_weights_as_text():
    assert parse_weights("attention:0.5, recency:-1,") == {"attention": 0.5, "recency": -1.0}
    assert weights_of({"recency": 1})[Signal.ATTENTION] == 0.4
    with pytest.raises(InvalidInput, match="'attention' is not of the form"):
        parse_weights("attention")
    with pytest.raises(InvalidInput, match="did you mean attention"):
        weights_of({"atention": 1.0})


def test_max_loss_is_from_0_to_1():
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(InvalidInput, match="max_loss: must be a number from 0 to 1"):
            DEFAULT_FEEDS["coherent"].conditions(wrong)


def test_an_index_that_is_filled_bit_by_bit_is_the_same():
    rows = entries(400, seed=6)
    whole, grown = indexed(rows), Index(MICROS)
    chance = random.Random(7)
    rest = list(rows)
    while rest:
        size = chance.randrange(1, 30)
        grown.put(rest[:size])
        rest = rest[size:]
    everything = np.ones(len(rows), np.bool_)
    assert np.array_equal(
        whole.number[whole.newest(everything, 400)], grown.number[grown.newest(everything, 400)]
    )
    after = whole.key(int(whole.newest(everything, 400)[137]))
    assert np.array_equal(
        whole.newest(everything, 50, after), whole.newest(everything, 400)[138:188]
    )


def test_what_changed_is_found_as_it_was():
    first = IndexRow(1, 1, MICROS, 1, 0.1, "note", None, '["a"]', "[]")
    index = indexed([first])
    index.revision = 1
    moved = first._replace(version=2, created=MICROS - DAY, layer=3, tags="[]")
    index.close([first._replace(until=2)])
    index.put([moved])
    index.revision = 2
    assert index.layer[index.visible(2)].tolist() == [3]
    assert index.layer[index.visible(1)].tolist() == [1]
    tagged = (FeedSource(Source.TAG, "a"),)
    assert not select(index, tagged, (), revision=2).any()
    assert select(index, tagged, (), revision=1).tolist() == [True, False]
    index.remove(1, 3)
    index.revision = 3
    assert not index.visible(1).any()
    assert not index.visible(3).any()


def test_recency_of_the_future_is_one():
    index = indexed([IndexRow(1, 1, MICROS + 900 * DAY, None, None, "note", None, "[]", "[]")])
    later = Reader((), MICROS + int(timedelta(days=1).total_seconds() * 1e6))
    [parts] = explain(index, {Signal.RECENCY: 1.0}, later, np.array([0]))
    assert parts["recency"].value == 1.0


@pytest.mark.parametrize("declared", [(), ("p", "q")])
@pytest.mark.parametrize("order", ["random", "ascending", "tied"])
@pytest.mark.parametrize(
    "weights",
    [DEFAULT_WEIGHTS, {Signal.ATTENTION: 1.0}, {Signal.COHERENCE: -1.0}, {Signal.POPULARITY: 2.0}],
)
def test_the_best_of_many_are_those_of_a_full_sort(declared, order, weights):
    """As many as take the way through a threshold, which small ones do not."""
    chance = random.Random(8)
    rows = [
        each._replace(number=number, attention=0.25 if order == "tied" else each.attention)
        for number, each in enumerate(entries(400, seed=9) * 75, 1)
    ]
    chance.shuffle(rows)
    reader = Reader(declared, MICROS)
    if order == "ascending":
        whole = indexed(rows)
        exact = scores(whole, weights, reader, np.arange(len(rows)))
        rows = [rows[place] for place in np.argsort(exact)]
    index = indexed(rows)
    mask = np.array([chance.random() < 0.7 for _ in rows])
    exact = scores(index, weights, reader, np.arange(len(rows)))
    loss = np.nan_to_num(index.loss, nan=0.5) * -next(iter(weights.values()))
    beyond = loss if set(weights) == {Signal.COHERENCE} else np.zeros(len(rows))
    expected = np.lexsort((-index.number, -index.created, -beyond, -exact))
    expected = expected[mask[expected]]
    for count in (1, 20, 1_000):
        found = best(index, weights, reader, mask, count)
        assert found.tolist() == expected[:count].tolist()


@pytest.mark.parametrize("declared", [(), ("p", "q")])
@pytest.mark.parametrize(
    "weights", [DEFAULT_WEIGHTS, {Signal.ATTENTION: 1.0}, {Signal.RECENCY: -1.0}]
)
def test_what_led_before_gives_what_leads_now(declared, weights):
    """While statistics change, time passes, K-Blocks come and go, and readers hide some."""
    chance = random.Random(11)
    rows = [
        each._replace(number=number, attention=chance.random())
        for number, each in enumerate(entries(500, seed=12) * 40, 1)
    ]
    index, now, remembered = indexed(rows), MICROS, 0
    for step in range(120):
        now += chance.choice([0, 1_000_000, 3_600_000_000, 5 * DAY])
        reader = Reader(declared, now)
        changed = chance.sample(range(1, len(rows) + 1), chance.choice([0, 1, 50]))
        if changed:
            attention = [chance.choice([0.0, chance.random(), 0.9999]) for _ in changed]
            index.count(changed, [chance.randrange(200) for _ in changed], attention)
        if step % 40 == 39:
            index.put([rows[7]._replace(number=len(rows) + step, created=now)])
        hidden = np.zeros(len(index), np.bool_)
        hidden[chance.sample(range(len(rows)), chance.choice([0, 3, 400]))] = True
        selection = DEFAULT_FEEDS["cosmos"].sources, ()
        mask = select(index, *selection, index.revision)
        before = list(index.leaders.values())
        count = chance.choice([20, 300])
        found = leading(index, selection, mask, hidden, weights, reader, count)
        remembered += any(each is known for each in index.leaders.values() for known in before)
        rest = mask & ~hidden
        assert found.tolist() == best(index, weights, reader, rest, count).tolist()
    assert remembered > 20


@pytest.mark.parametrize("digits", [0, 1, 9])
@pytest.mark.parametrize("count", [1, 7, 300, 1_000])
def test_an_order_by_a_function_is_that_of_a_full_sort(digits, count):
    rows = entries(400, seed=13)
    index = indexed(rows)
    mask = np.array([entry.number % 3 > 0 for entry in rows])
    found = best_by(index, lambda columns: np.round(columns.attention, digits), mask, count)
    expected = sorted(
        (entry for entry in rows if entry.number % 3 > 0),
        key=lambda entry: (round(entry.attention, digits), entry.created, entry.number),
        reverse=True,
    )
    assert index.number[found].tolist() == [entry.number for entry in expected[:count]]


def test_rows_that_come_later_take_their_places_in_time():
    chance = random.Random(4)
    rows = [each._replace(created=chance.randrange(300)) for each in entries(2_000, seed=4)]
    later = [rows.pop(chance.randrange(len(rows))) for _ in range(60)]
    index = indexed(rows)
    everything = np.ones(len(index), np.bool_)
    assert len(index.newest(everything, 1)) == 1  # so they are in order once
    for start in range(0, len(later), 20):
        index.put(later[start : start + 20])
        found = index.newest(np.ones(len(index), np.bool_), 3_000)
        expected = sorted(
            (*rows, *later[: start + 20]), key=lambda each: (each.created, each.number)
        )
        assert index.number[found].tolist() == [each.number for each in reversed(expected)]
