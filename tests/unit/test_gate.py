"""The gate: pairs that a candidate would turn, by the order before they were swapped."""

import numpy as np
import pytest

from harken.services.experiments.analysis.promotion import gate, pair_preferences
from harken.services.experiments.promotion.gate import turned_pairs
from harken.services.experiments.promotion.reader_log import PairedSlate
from harken.services.learning.impressions import Event
from harken.services.learning.point_in_time import Description
from harken.services.learning.training_plan import TrainingData
from harken.services.readers.history import Touch
from tests.support.age_models import age_model

HOUR = 3_600 * 10**6
NOW = 2_000 * HOUR
ITEMS = 40
IDS = [f"k{n:02}" for n in range(ITEMS)]
AGES = {kblock_id: (1 + n) ** 2 * HOUR // 8 for n, kblock_id in enumerate(IDS)}


@pytest.fixture(scope="module")
def newest_first():
    return age_model(newest_first=True)


def pages(chances, seed: int = 0, readers: int = 150):
    """Return pages in a random order with swapped pairs, and what their readers engaged with.

    `chances` are called with the place on the page and the K-Block's rank by age, from 0 to 1.
    """
    rng = np.random.default_rng(seed)
    slates, events = [], []
    for reader in range(readers):
        order = rng.permutation(ITEMS)[:8].tolist()
        pairs = []
        for at in range(int(rng.integers(2)), 7, 2):
            turned = bool(rng.integers(2))
            if turned:
                order[at], order[at + 1] = order[at + 1], order[at]
            pairs.append((at, turned))
        shown = tuple(IDS[n] for n in order)
        request_id, at_time = f"r{reader}", NOW + reader * HOUR // 100
        slates.append(PairedSlate(request_id, f"u{reader % 150}", at_time, shown, pairs))
        for place, number in enumerate(order):
            if rng.random() < chances(place, number / ITEMS):
                touch = Touch(f"u{reader % 150}", IDS[number], "engage", None, None, at_time + 1)
                events.append(Event(touch, None, request_id))
    described = {each: Description(created_at=NOW - age) for each, age in AGES.items()}
    return TrainingData(events, [], described), slates


def preferences(model, log, slates):
    return pair_preferences(*turned_pairs(log, slates, model, {}))


def test_a_candidate_whose_choices_are_wanted_passes_and_the_opposite_fails(newest_first):
    log, slates = pages(lambda place, age: 0.6 * (1 - age) / (1 + place / 4))
    assert gate(preferences(newest_first, log, slates), 300).state == "passed"
    log, slates = pages(lambda place, age: 0.6 * age / (1 + place / 4))
    assert gate(preferences(newest_first, log, slates), 300).state == "failed"


def test_the_place_on_the_page_does_not_count(newest_first):
    """By the order before, the mean is 0 where only places matter; by the shown one it is not."""
    log, slates = pages(lambda place, _age: 0.9 / (1 + place), readers=350)
    found = preferences(newest_first, log, slates)
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean()) < 3.3 * error
    as_shown = [each._replace(pairs=[(place, False) for place, _ in each.pairs]) for each in slates]
    biased = preferences(newest_first, log, as_shown)
    assert biased.mean() < -3.3 * error


def test_only_pairs_that_it_would_turn_are_asked(newest_first):
    oldest_above = PairedSlate("r", "u", NOW, (IDS[30], IDS[1], IDS[2], IDS[31]), [(0, False)])
    newest_above = oldest_above._replace(request_id="s", pairs=[(2, False)])
    turned = oldest_above._replace(request_id="t", pairs=[(0, True)])  # before: the newest first
    engaged = Event(Touch("u", IDS[1], "engage", None, None, NOW + 1), None, "r")
    other = Event(Touch("x", IDS[30], "engage", None, None, NOW + 1), None, "r")  # not its reader
    described = {each: Description(created_at=NOW - age) for each, age in AGES.items()}
    log = TrainingData([engaged, other], [], described)
    found = turned_pairs(log, [oldest_above, newest_above, turned], newest_first, {})
    assert found.readers.tolist() == [0]
    assert (found.on_choice.tolist(), found.on_other.tolist()) == ([True], [False])


def test_without_pairs_nothing_is_known(newest_first):
    found = turned_pairs(TrainingData([]), [], newest_first, {})
    assert len(found.readers) == len(found.on_choice) == 0
    assert gate(pair_preferences(*found), 100).state == "open"
