"""Neighbours by an engine are those of `ItemNeighbours.fit` on the same interests."""

from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.domain.feedback import GUEST
from harken.services.learning import factor_candidates
from harken.services.learning.collaborative import Collaborative
from harken.services.learning.engines import item_neighbours
from harken.services.learning.engines.engines import DuckEngine, PolarsEngine
from harken.services.learning.engines.training import compute_neighbours
from harken.services.learning.factor_candidates import WORTH
from harken.services.learning.interaction_matrix import Interactions, Interest
from harken.services.learning.neighbours import ItemNeighbours
from harken.services.readers.affinities import AffinitySettings
from tests.support.engine_logs import BEGIN, DAY, SMALL_MEMORY, made_log, subjects, written

ENGINES = [PolarsEngine, DuckEngine]
UNTIL = BEGIN + 15 * DAY
TOUCHES = SMALL_MEMORY.touches
FEW = 20


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch):
    monkeypatch.setattr(item_neighbours, "most_candidates", lambda: FEW)


def expected_of(log, touches=TOUCHES, most=factor_candidates.MOST_ITEMS):
    """Fit the neighbours of a log in this process."""
    last: dict[str, dict[str, tuple[int, float]]] = defaultdict(dict)
    for _, touch, _ in log:
        worth = WORTH.get(touch.action)
        if worth is not None and touch.user_id != GUEST and touch.at < UNTIL:
            _, known = last[touch.user_id].get(touch.kblock_id, (0, 0.0))
            last[touch.user_id][touch.kblock_id] = touch.at, max(worth, known)
    interests = [
        Interest(reader, kblock, worth)
        for reader, touched in last.items()
        for kblock, (_, worth) in sorted(touched.items(), key=_latest)[:touches]
    ]
    readers: dict[str, int] = defaultdict(int)
    for each in interests:
        readers[each.item_id] += 1
    kept = set(sorted(readers, key=lambda item: (-readers[item], item))[:most])
    matrix = Interactions.from_interests(each for each in interests if each.item_id in kept)
    return Collaborative(matrix.items, ItemNeighbours.fit(matrix))


def _latest(touched):
    kblock, (at, _) = touched
    return -at, kblock


def found_by(make, log, folder, memory=SMALL_MEMORY):
    work = folder / make.__name__
    work.mkdir()
    with make(work) as engine:
        return compute_neighbours(engine, log, UNTIL, memory)


def check_same(found, right) -> None:
    """The cosines are equal, and so are the neighbours, but where cosines are."""
    assert found.items == right.items
    np.testing.assert_allclose(found.method.cosines, right.method.cosines, atol=1e-6)
    for item in range(len(right.items)):
        own, other = (each.method.similar(item) for each in (found, right))
        least = right.method.cosines[item].min()
        surely = (own > least + 1e-6) | (other > least + 1e-6)
        np.testing.assert_allclose(own[surely], other[surely], atol=1e-6)


@pytest.mark.parametrize("make", ENGINES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_they_are_those_of_the_process(make, seed, tmp_path):
    log = made_log(seed)
    right = expected_of(log)
    found = found_by(make, written(log, tmp_path), tmp_path)
    check_same(found, right)
    history = dict.fromkeys(right.items[:5], 1.0)
    assert [each.score for each in found.recommend(history, 20)] == pytest.approx(
        [each.score for each in right.recommend(history, 20)], abs=1e-6
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 20), st.integers(1, 30))
def test_they_are_those_of_the_process_for_any_log(seed, events, readers, touches):
    log = made_log(seed, events, 15, readers)
    right = expected_of(log, touches)
    for make in ENGINES:
        with TemporaryDirectory() as name:
            folder, memory = Path(name), AffinitySettings(touches=touches)
            found = found_by(make, written(log, folder), folder, memory)
        if len(right.items) <= FEW:
            assert found is None
        else:
            check_same(found, right)


@pytest.mark.parametrize("make", ENGINES)
def test_only_k_blocks_with_most_readers_have_neighbours(make, tmp_path, monkeypatch):
    monkeypatch.setattr(item_neighbours, "MOST_ITEMS", 30)
    log = made_log(3)
    check_same(found_by(make, written(log, tmp_path), tmp_path), expected_of(log, most=30))


@pytest.mark.parametrize("make", ENGINES)
def test_readers_who_do_not_count_or_have_no_name_have_no_part(make, tmp_path):
    log = made_log(4)
    until = BEGIN + 8 * DAY
    inputs = written(log, tmp_path)._replace(
        **dict(zip(("withheld", "readers", "sessions"),
                   subjects({"r1": until}, ["r2"], ["s3"]), strict=True))
    )  # fmt: skip
    counted = [
        row
        for row in log
        if row.touch.user_id != "r2"
        and row.session != "s3"
        and not (row.touch.user_id == "r1" and row.touch.at < until)
    ]
    check_same(found_by(make, inputs, tmp_path), expected_of(counted))


@pytest.mark.parametrize("make", ENGINES)
def test_there_are_none_where_all_k_blocks_are_candidates(make, tmp_path, monkeypatch):
    monkeypatch.setattr(item_neighbours, "most_candidates", lambda: 10_000)
    assert found_by(make, written(made_log(5), tmp_path), tmp_path) is None
