"""Detectors: what they find of planted attacks, whom they leave alone, and how they fail."""

import json

import numpy as np
import pytest

from harken.services.integrity.detectors import (
    DETECTORS,
    DetectorSettings,
    EventLog,
    EventRow,
    Kind,
    SlateRow,
    Slates,
    run_detectors,
)
from harken.services.integrity.detectors.bursts import Bursts
from harken.services.integrity.detectors.dense_blocks import DenseBlocks
from harken.services.integrity.detectors.event_log import DAY, HOUR, MICROS
from harken.services.integrity.detectors.findings import Case, Finding
from harken.services.integrity.detectors.isolation import Isolation
from harken.services.integrity.detectors.lockstep import Lockstep
from harken.services.integrity.detectors.newcomers import Newcomers
from harken.services.integrity.detectors.regularity import Regularity
from harken.services.integrity.detectors.shared_sessions import SharedSessions
from harken.services.integrity.detectors.volume import KBlockVolume, StreamVolume
from harken.services.simulation.rings import Attack, Strength, plant
from tests.support.audiences import START, honest_log, honest_rows

STRICT = DetectorSettings(alarms_per_reader_week=0.001)


@pytest.fixture(scope="module")
def rows():
    return honest_rows(1)


def accused(found):
    return {member for alert in found.alerts for member in alert.members}


def run(rows, *detectors, **settings):
    return run_detectors(
        EventLog.from_rows(rows), None, DetectorSettings(**settings), detectors or DETECTORS
    )


@pytest.mark.parametrize("seed", range(4))
def test_honest_readers_are_left_alone(seed):
    """A twelfth of a thousand readers in twelve weeks; the budget is one per thousand and week."""
    log = honest_log(seed)
    found = run_detectors(log)
    assert not found.failures
    assert len(accused(found)) <= 1
    assert set(found.reader_scores) == set(log.reader_ids)
    assert all(0 <= score <= 1 for score in found.reader_scores.values())


@pytest.mark.parametrize("strength", Strength)
@pytest.mark.parametrize("targets", [3, 6])
def test_rings_are_found_and_their_readers_ranked_first(strength, targets):
    planted = plant(honest_log(2), Attack(strength, 20, targets), seed=targets)
    found = run_detectors(planted.log)
    ring = planted.accounts
    assert len(accused(found) & ring) >= 0.8 * len(ring)
    assert len(accused(found) - ring) <= 3
    ranked = sorted(found.reader_scores, key=lambda each: -found.reader_scores[each])
    assert len(ring & set(ranked[: len(ring)])) >= 0.8 * len(ring)


def test_an_attack_on_one_kblock_by_new_accounts_is_found():
    planted = plant(honest_log(2), Attack(Strength.MINUTES, 25, 1), seed=4)
    found = run_detectors(planted.log, detectors=[Newcomers()])
    [alert] = found.alerts
    assert alert.kind is Kind.KBLOCK
    assert alert.id == planted.log.kblock_ids[planted.targets[0]]
    assert planted.accounts <= set(alert.members)
    assert "chance explains" in alert.evidence.words


def test_a_burst(rows):
    bot = [
        EventRow("bot", f"k{n % 200}", "view", START + 30 * DAY + n * MICROS) for n in range(900)
    ]
    assert accused(run([*rows, *bot], Bursts())) == {"bot"}


@pytest.mark.parametrize(
    ("words", "made"),
    [
        ("gaps between events are equal", [n * 1_800 * MICROS for n in range(60)]),
        ("within a second", [n // 8 * DAY + n % 8 * MICROS // 2 for n in range(80)]),
        ("without night", [n * 2_700 * MICROS + n * n % 977 * MICROS for n in range(900)]),
    ],
)
def test_regularity_that_no_person_has(rows, words, made):
    start = START + 10 * DAY
    bot = [EventRow("bot", f"k{n % 200}", "view", start + at) for n, at in enumerate(made)]
    found = run([*rows, *bot], Regularity())
    assert accused(found) == {"bot"}
    assert words in found.alerts[0].evidence.words


def test_dwell_times_that_no_day_has(rows):
    bot = [
        EventRow("bot", f"k{n}", "view", START + n // 3 * DAY + n % 3 * HOUR, 20 * 3_600_000)
        for n in range(60)
    ]
    found = run([*rows, *bot], Regularity())
    assert accused(found) == {"bot"}
    assert "dwell times" in found.alerts[0].evidence.words


def test_one_session_of_many_readers(rows):
    shared = [EventRow(f"x{n}", "k1", "view", START + n * HOUR, None, "one") for n in range(8)]
    [alert] = run([*rows, *shared], SharedSessions()).alerts
    assert (alert.kind, alert.id, len(alert.members)) == (Kind.SESSION, "one", 8)
    everywhere = [row._replace(session_id="office") for row in rows]
    assert not run(everywhere, SharedSessions()).alerts


def test_volume_of_a_kblock_and_of_the_stream(rows):
    noon = START + 40 * DAY + 12 * HOUR
    crowd = [EventRow("guest", "k3", "view", noon + n * 4 * MICROS) for n in range(800)]
    [of_kblock] = run([*rows, *crowd], KBlockVolume()).alerts
    assert (of_kblock.kind, of_kblock.id, of_kblock.members) == (Kind.KBLOCK, "k3", ())
    of_stream = run([*rows, *crowd], StreamVolume()).alerts
    assert any(each.start <= noon <= each.end for each in of_stream)


def lockstep_pages(rows, readers=12, moments=6):
    """Return touches and slates of readers who were all shown the same page, minutes before."""
    touches, slates = [], []
    for moment in range(moments):
        at, item = START + (20 + 5 * moment) * DAY + 12 * HOUR, f"page{moment}"
        for reader in range(readers):
            own = at + reader * 10 * MICROS
            touches.append(EventRow(f"x{reader}", item, "view", own + MICROS))
            slates.append(SlateRow(f"x{reader}", own, (item,)))
    return [*rows, *touches], slates


def test_lockstep_that_exposure_explains_accuses_nobody(rows):
    """Readers who touch everything that they were shown, and are shown it at the same time."""
    both, slates = lockstep_pages(rows)
    eager = [SlateRow(row.reader_id, row.at - MICROS, (row.kblock_id,)) for row in rows]
    log = EventLog.from_rows(both)
    assert len(accused(run_detectors(log, detectors=[Lockstep()]))) == 12
    shown = Slates.from_rows([*slates, *eager], log)
    assert not accused(run_detectors(log, shown, detectors=[Lockstep()]))
    # With many shown pages that were not touched, chance does not explain it any more.
    ignored = [SlateRow(f"r{n % 300}", START + n * HOUR, (f"page{n % 6}",)) for n in range(1_800)]
    idle = [SlateRow(f"x{n % 12}", START + n * HOUR, (f"k{n % 240}",)) for n in range(1_200)]
    shown = Slates.from_rows([*slates, *ignored, *idle], log)
    assert len(accused(run_detectors(log, shown, detectors=[Lockstep()]))) == 12


def test_a_run_since_a_time_reports_what_is_new(rows):
    old, new = START + 20 * DAY, START + 70 * DAY
    bots = [
        EventRow(name, f"k{n % 200}", "view", at + n * MICROS)
        for name, at in (("old", old), ("new", new))
        for n in range(900)
    ]
    assert accused(run([*rows, *bots], Bursts())) == {"old", "new"}
    assert accused(run([*rows, *bots], Bursts(), since=new - DAY)) == {"new"}


@pytest.mark.parametrize(
    "made",
    [
        [],
        [EventRow("a", "k", "view", 5)],
        [EventRow("a", f"k{n}", "view", n * HOUR) for n in range(300)],
        [EventRow(f"r{n % 40}", f"k{n % 7}", "view", 5 * DAY) for n in range(400)],
        [EventRow("guest", f"k{n % 7}", "view", n * MICROS) for n in range(400)],
        [EventRow(f"r{n % 60}", "k", "dismiss", n * HOUR) for n in range(400)],
        [
            EventRow(f"r{n % 60}", f"k{n % 9}", "view", (n % 2) * 250 * 365 * DAY + n, 86_400_000)
            for n in range(400)
        ],
    ],
    ids=["empty", "one event", "one reader", "one moment", "guests", "dismissals", "extremes"],
)
def test_unusual_logs_are_judged_without_failure(made):
    found = run(made)
    assert not found.failures
    assert set(found.reader_scores) == {row.reader_id for row in made}
    assert found.reader_scores.get("guest", 0) == 0
    json.dumps(found.as_json(), allow_nan=False)


class Broken:
    name, accuses = "broken", True

    def find(self, case: Case) -> Finding:  # noqa: ARG002 — the protocol's signature
        raise ZeroDivisionError("no readers to divide by")


def test_a_detector_that_fails_is_named_and_the_others_go_on(rows):
    bot = [
        EventRow("bot", f"k{n % 200}", "view", START + 30 * DAY + n * MICROS) for n in range(900)
    ]
    found = run([*rows, *bot], Broken(), Bursts())
    assert found.failures == {"broken": "no readers to divide by"}
    assert accused(found) == {"bot"}


def test_without_scikit_learn_the_message_names_the_extra(rows, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    found = run(rows, Isolation(), SharedSessions())
    assert "harken[detect]" in found.failures["isolation"]
    assert found.reader_scores


def test_who_is_unlike_everybody_scores_higher_and_the_forest_is_repeatable(rows):
    odd = [EventRow("odd", f"k{n}", "dismiss", START + n * 7 * HOUR) for n in range(150)]
    first, second = (run([*rows, *odd], Isolation()) for _ in range(2))
    assert first.as_json() == second.as_json()
    scores = first.reader_scores
    assert scores["odd"] >= np.quantile(list(scores.values()), 0.98)


def test_the_order_of_events_makes_no_difference(rows):
    one = run(rows, Lockstep(), DenseBlocks(), Newcomers())
    other = run(rows[::-1], Lockstep(), DenseBlocks(), Newcomers())
    assert one.reader_scores.keys() == other.reader_scores.keys()
    for reader, score in one.reader_scores.items():
        assert score == pytest.approx(other.reader_scores[reader], abs=1e-9)


@pytest.mark.parametrize("wrong", [{"alarms_per_reader_week": 0}, {"alarms_per_series_week": -1}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="must be above 0"):
        DetectorSettings(**wrong)


def test_hourly_runs_of_a_week_spend_what_one_run_of_the_week_spends(rows):
    log = EventLog.from_rows(rows)
    hourly = DetectorSettings(since=int(log.at[-1]) - HOUR)
    weekly = DetectorSettings(since=int(log.at[-1]) - 7 * DAY)
    assert 168 * hourly.weeks(log) == pytest.approx(weekly.weeks(log)) == 1
    assert DetectorSettings().weeks(log) == 1
