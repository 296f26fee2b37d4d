"""Weekly counts, checked by hand, and the coverage of intervals."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from harken.domain.weeks import ReaderWeek, week_name, week_of
from harken.services.evaluation.verdict import Week, weekly_verdict
from harken.services.evaluation.weekly import FEWEST_READERS, Ratio, Tally

MONDAY = datetime(2026, 9, 28, tzinfo=UTC)


def row(user, week=0, views=0, engagements=0, **more):
    return ReaderWeek(
        user, more.get("visit"), week, more.get("ranking"), views, engagements,
        more.get("dismissals", 0), 0, more.get("timed", 0), more.get("dwell_ms", 0),
    )  # fmt: skip


def drawn(rows, **options):
    tally = Tally(**options)
    for each in sorted(rows, key=lambda one: (one.user_id, one.visit or "", one.week)):
        tally.add(each)
    return tally.drawn()


def weeks(count, partial=()):
    return [Week(n, MONDAY + timedelta(weeks=n), n in partial) for n in range(count)]


@pytest.mark.parametrize(
    ("at", "begin", "name"),
    [
        ("2026-09-28T00:00:00+00:00", "2026-09-28", "2026-W40"),
        ("2026-10-04T23:59:59.999999+00:00", "2026-09-28", "2026-W40"),
        ("2026-10-05T00:30:00+02:00", "2026-09-28", "2026-W40"),
        ("2027-01-03T12:00:00+00:00", "2026-12-28", "2026-W53"),
        ("1969-12-31T12:00:00+00:00", "1969-12-29", "1970-W01"),
    ],
)
def test_weeks_begin_on_monday_in_utc(at, begin, name):
    found = week_of(datetime.fromisoformat(at))
    assert found == datetime.fromisoformat(begin).replace(tzinfo=UTC)
    assert week_name(found) == name


def test_counts_by_hand():
    found = drawn(
        [
            row("ada", 0, views=4, engagements=1, ranking="trending", timed=2, dwell_ms=3_000),
            row("ada", 0, views=1, ranking=None),
            row("ada", 1, views=2, engagements=2),
            row("bob", 0, dismissals=1, ranking=None),
            row("guest", 0, views=2, visit="session a", timed=1, dwell_ms=3_000),
            row("guest", 0, views=3, visit="session b"),
        ]
    )
    first = found.week(0)
    assert (first.views, first.engagements, first.dismissals) == (10, 1, 1)
    assert (first.readers, first.guest_visits) == (2, 2)
    assert first.avg_dwell_time_sec == 2.0
    assert first.engagement_per_view == Ratio(0.1, None, None)
    assert first.dismissals_per_view.value == 0.1
    by_ranking = found.rankings(0)
    assert list(by_ranking) == ["trending", None]
    assert (by_ranking["trending"].views, by_ranking["trending"].readers) == (4, 1)
    assert (by_ranking[None].views, by_ranking[None].readers) == (6, 2)
    assert found.week(1).readers == 1
    nothing = found.week(2)
    assert (nothing.views, nothing.engagement_per_view.value) == (0, None)
    assert found.rankings(2) == {}
    assert found.change(2, [0]) is None
    assert found.change(1, [0]).difference == pytest.approx(0.9)


def readers(seed, count, share=0.2, spread=4.0):
    """Make readers who differ in their number of views and their rate of engagement."""
    generator = np.random.default_rng(seed)
    views = 1 + generator.poisson(generator.gamma(1.0, 5.0, count))
    rates = generator.beta(share * spread, (1 - share) * spread, count)
    return views, generator.binomial(views, rates)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Readers differ so much that intervals from independent events cover only 6 of 10 cases."""
    held = naive = 0
    for seed in range(200):
        views, engaged = readers(seed, 80)
        rows = [
            row(f"u{n:03}", views=int(v), engagements=int(e))
            for n, (v, e) in enumerate(zip(views, engaged, strict=True))
        ]
        value, low, high = drawn(rows, seed=seed).week(0).engagement_per_view
        held += low <= 0.2 <= high
        naive += abs(value - 0.2) <= 1.96 * np.sqrt(value * (1 - value) / views.sum())
    assert held >= 184  # 92 %
    assert naive < 150


def test_many_readers_are_drawn_in_groups():
    views, engaged = readers(1, 6_000)
    rows = [
        row(f"u{n:05}", views=int(v), engagements=int(e))
        for n, (v, e) in enumerate(zip(views, engaged, strict=True))
    ]
    each = drawn(rows, groups=6_000).week(0).engagement_per_view
    grouped = drawn(rows, groups=500).week(0).engagement_per_view
    assert grouped.value == each.value == pytest.approx(engaged.sum() / views.sum())
    assert grouped.high - grouped.low == pytest.approx(each.high - each.low, rel=0.15)


def test_few_readers_have_no_interval():
    rows = [row(f"u{n}", views=5, engagements=n % 3) for n in range(FEWEST_READERS)]
    assert drawn(rows).week(0).engagement_per_view.low is not None
    assert drawn(rows[1:]).week(0).engagement_per_view.low is None
    # The same holds for many readers of whom only two viewed anything.
    rows = [row(f"u{n}", views=5 * (n < 2), engagements=1) for n in range(20)]
    assert drawn(rows).week(0).engagement_per_view.low is None


# Better, worse, not known


def log_of(*shares, count=60, spread=0.15, seed=0):
    """Make weeks in which each reader engages with about this share of 20 views."""
    chance = random.Random(seed)
    own = {n: chance.uniform(-spread, spread) for n in range(count)}
    return [
        row(f"u{n}", week, views=20, engagements=round(20 * max(0, share + own[n])))
        for n in own
        for week, share in enumerate(shares)
    ]


@pytest.mark.parametrize(
    ("last", "verdict", "said"),
    [
        (0.40, "better", "Better: 0.4"),
        (0.20, "worse", "Worse: 0.2"),
        (0.30, "not_known", "Not known: 0.3"),
    ],
)
def test_the_last_full_week_is_compared_with_the_four_before(last, verdict, said):
    rows = log_of(0.6, 0.3, 0.3, 0.3, 0.3, last, 0.9)
    found = weekly_verdict(weeks(7, partial={6}), drawn(rows), [])
    assert (found.verdict, found.text.startswith(said)) == (verdict, True)
    recent, first = found.compared
    assert recent.week.name == "2026-W45"
    assert [each.name for each in recent.than] == ["2026-W41", "2026-W42", "2026-W43", "2026-W44"]
    assert [each.name for each in first.than] == ["2026-W40"]
    assert recent.change.difference == pytest.approx(last - 0.3, abs=0.02)
    low, high = recent.change[-2:]
    assert low is not None
    assert high is not None
    assert low <= recent.change.difference <= high
    assert first.verdict == "worse"
    assert found.as_json()["compared"][0]["than"][0] == "2026-W41"


def test_a_reader_of_both_weeks_is_one():
    """Readers differ far more than weeks; each reader engages a little more."""
    rows = log_of(0.40, 0.45, spread=0.4)
    found = drawn(rows)
    low, high = (found.week(n).engagement_per_view for n in (0, 1))
    assert high.low < low.high
    assert weekly_verdict(weeks(2), found, []).verdict == "better"
    others = [each._replace(user_id=f"{each.user_id} {each.week}") for each in rows]
    assert weekly_verdict(weeks(2), drawn(others), []).verdict == "not_known"


@pytest.mark.parametrize(
    ("known", "begun", "at"),
    [
        # On a Wednesday, so the next week is the first full one.
        (weeks(1, {0}), timedelta(days=2), 3),
        (weeks(2, {0, 1}), timedelta(days=2), 3),
        (weeks(3, {0, 2}), timedelta(days=2), 3),
        # On a Monday.
        (weeks(1, {0}), timedelta(hours=2), 2),
        (weeks(1), timedelta(hours=2), 2),
        (weeks(2, {1}), timedelta(hours=2), 2),
    ],
)
def test_a_young_log_says_when_there_is_an_answer(known, begun, at):
    begun += MONDAY
    rows = [row("ada", week=each.number, views=3, engagements=1) for each in known]
    found = weekly_verdict(known, drawn(rows), [], begun)
    assert found.verdict == "not_known"
    assert f"begins on {begun:%Y-%m-%d} and has {3 * len(known)} views and {len(known)} eng" in (
        found.text
    )
    assert f"A verdict is possible from {MONDAY + timedelta(weeks=at):%Y-%m-%d} on" in found.text


def test_what_cannot_be_compared():
    one = drawn(log_of(0.3, 0.3))
    for known in (weeks(1), weeks(2, partial={1}), weeks(2, partial={0}), weeks(0)):
        found = weekly_verdict(known, one, [])
        assert found.verdict == "not_known"
        assert "a comparison needs two full weeks with views" in found.text
        assert found.compared == []
        assert "A verdict is possible from" not in found.text
    few = weekly_verdict(weeks(2), drawn(log_of(0.3, 0.9, count=5)), [])
    assert few.verdict == "not_known"
    assert "an interval needs at least 10 readers" in few.text
