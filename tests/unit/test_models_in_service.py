"""Models compared with baseline rankings, in their periods in service."""

import numpy as np
import pytest

from harken.services.evaluation.holdout import train_and_measure
from harken.services.evaluation.models_in_service import (
    LEARNED,
    EvaluationPeriod,
    Promotion,
    measure,
    service_periods,
)
from harken.services.learning.ranker import RankerSettings
from harken.services.learning.rolling_training import TrainingSettings
from tests.support.choices import choices
from tests.support.touches import DAY

QUICK = TrainingSettings(
    ranker=RankerSettings(rounds=20, fewest=50, least_in_leaf=10, base_below=0)
)


@pytest.fixture(scope="module")
def log():
    return choices()


@pytest.fixture(scope="module")
def trained(log):
    return train_and_measure(log, QUICK)


def test_the_latest_that_was_not_taken_back_is_in_service():
    promotions = [
        Promotion("a", 10, None),
        Promotion("b", 20, 30),
        Promotion("c", 40, 70),
        Promotion("c", 50, 60),
    ]
    assert [tuple(each)[:3] for each in service_periods(promotions, 100)] == [
        ("a", 10, 20), ("b", 20, 30), ("a", 30, 40), ("c", 40, 70), ("a", 70, 100),
    ]  # fmt: skip
    assert service_periods([Promotion("a", 10, 20)], 100) == [EvaluationPeriod("a", 10, 20)]
    assert service_periods([], 100) == []


def test_the_figures_are_those_of_training(log, trained):
    [found] = measure(
        log, {"m": trained.model}, [EvaluationPeriod("m", trained.cut, trained.end + 1, "held_out")]
    )
    measured = trained.found.rankings
    assert found.impressions == trained.found.impressions
    assert found.readers == trained.found.readers
    assert found.values[LEARNED] == pytest.approx(measured["candidate"]["all"].values)
    assert found.values["personal"] == pytest.approx(measured["personal"]["all"].values)
    assert set(found.values) == {LEARNED, "chronological", "popularity", "personal"}
    pairs = {pair.metric: pair for pair in trained.found.pairs if pair.b == "personal"}
    for each in found.differences:
        if each.than == "personal":
            pair = pairs[each.metric]
            assert each.difference == pytest.approx(pair.difference)
            assert each.interval == pytest.approx(pair.interval, abs=0.01)


def test_each_model_is_measured_in_its_own_time(log, trained):
    model, half = trained.model, trained.cut + 4 * DAY
    first, second = (
        EvaluationPeriod("a", trained.cut, half),
        EvaluationPeriod("b", half, trained.end + 1),
    )
    whole = EvaluationPeriod("b", trained.cut, trained.end + 1, "held_out")
    none = EvaluationPeriod("b", trained.end + 1, trained.end + DAY)
    found = measure(log, {"a": model, "b": model}, [first, second, whole, none])
    by_span = {each.period: each for each in found}
    assert by_span[first].impressions > 0
    assert by_span[first].impressions + by_span[second].impressions == by_span[whole].impressions
    for name in by_span[whole].values:
        parts = [by_span[each] for each in (first, second)]
        total = sum(each.values[name]["mrr"] * each.impressions for each in parts)
        assert total / by_span[whole].impressions == pytest.approx(
            by_span[whole].values[name]["mrr"]
        )
    assert (by_span[none].impressions, by_span[none].values) == (0, {})


def test_what_few_readers_did_has_no_interval(log, trained):
    begin = trained.cut
    end = next(
        at
        for at in sorted(event.touch.at for event in log)
        if len({e.touch.user_id for e in log if begin <= e.touch.at <= at}) > 8
    )
    [found] = measure(log, {"m": trained.model}, [EvaluationPeriod("m", begin, end)])
    assert 0 < found.readers < 10
    assert {each.interval for each in found.differences} == {None}


@pytest.mark.slow
def test_of_many_impressions_some_are_drawn(log, trained):
    period = EvaluationPeriod("m", trained.cut, trained.end + 1, "held_out")

    def measured(**options):
        return measure(log, {"m": trained.model}, [period], **options)[0]

    whole = measured()
    assert whole.impressions == whole.measurable == trained.found.impressions
    half = whole.impressions // 2
    some = measured(most=half)
    assert (some.impressions, some.measurable) == (half, whole.impressions)
    assert measured(most=half) == some
    assert measured(most=half, seed=1).values != some.values
    # A sample gives the same result with wider intervals.
    held, widths = 0, []
    for seed in range(10):
        drawn = measured(most=half, seed=seed)
        for one, all_of_them in zip(drawn.differences, whole.differences, strict=True):
            held += one.interval.low < all_of_them.difference < one.interval.high
            widths.append(wide(one.interval) / wide(all_of_them.interval))
    count = 10 * len(whole.differences)
    assert held >= 0.85 * count  # of ten draws, whose twelve differences are correlated
    # Half of the impressions: √2 times as wide, or less, since readers are drawn.
    assert np.median(widths) > 1.1


def wide(interval):
    return interval.high - interval.low


def test_spans_are_drawn_from_each_for_itself(log, trained):
    half = trained.cut + 4 * DAY
    model, whole = trained.model, EvaluationPeriod("b", trained.cut, trained.end + 1, "held_out")
    service_periods = [
        EvaluationPeriod("a", trained.cut, half),
        EvaluationPeriod("a", half, trained.end + 1),
        whole,
    ]
    together = measure(log, {"a": model, "b": model}, service_periods, most=20)
    assert [each.impressions for each in together] == [20, 20, 20]
    for period, found in zip(service_periods, together, strict=True):
        [alone] = measure(log, {period.model_id: model}, [period], most=20)
        assert (alone.readers, alone.values) == (found.readers, found.values)


def test_without_spans_nobody_walks(log):
    assert measure(log, {}, []) == []
