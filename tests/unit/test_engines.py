"""Engines: each computes the same rows, and these are those of the walk."""

import numpy as np
import pytest

from harken.domain.feedback import GUEST
from harken.errors import InvalidInput
from harken.services.learning.engines.engines import DuckEngine, PolarsEngine
from harken.services.learning.engines.training import (
    compute_rows,
    examples_of,
    fit_rows,
    trainer_of,
)
from harken.services.learning.engines.training_rows import COLUMNS, RELATIONAL
from harken.services.learning.event_files import EventFiles
from harken.services.learning.examples import ExampleCollector
from harken.services.learning.impressions import Event, Window
from harken.services.learning.point_in_time import Description, PointInTimeReplay
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.learning.training_plan import Bounds
from tests.support.engine_logs import (
    BEGIN,
    CREATED,
    DAY,
    EVERYTHING,
    SMALL_MEMORY,
    WARM_UP,
    made_log,
    subjects,
    walked,
    written,
)

ENGINES = [PolarsEngine, DuckEngine]
AS_EQUAL = 1e-6


def rows_of(make, log, folder, extent=EVERYTHING, settings=SMALL_MEMORY):
    work = folder / make.__name__
    work.mkdir(parents=True, exist_ok=True)
    with make(work) as engine:
        found = compute_rows(engine, log, extent, settings)
    return found.sort_by([(name, "ascending") for name in ("asked_at", "request", "kblock")])


def matrix_of(rows):
    return np.column_stack([rows[name].to_numpy() for name in RELATIONAL])


@pytest.mark.parametrize("make", ENGINES)
@pytest.mark.parametrize("seed", [0, 1])
def test_rows_are_those_of_the_walk(make, seed, tmp_path):
    log = made_log(seed)
    rows = rows_of(make, written(log, tmp_path), tmp_path)
    found: dict[str, dict[str, np.ndarray]] = {}
    keys = zip(rows["request"].to_pylist(), rows["kblock"].to_pylist(), strict=True)
    for (request, kblock), values in zip(keys, matrix_of(rows), strict=True):
        found.setdefault(request, {})[kblock] = values
    expected = list(walked(log, SMALL_MEMORY, EVERYTHING.until))
    assert len(expected) > 200
    assert found.keys() == {each.id for each in expected}
    for each in expected:
        assert found[each.id].keys() == set(each.kblocks)
        own = np.array([found[each.id][kblock] for kblock in each.kblocks])
        np.testing.assert_allclose(own, each.matrix, AS_EQUAL, AS_EQUAL)


@pytest.mark.parametrize("seed", [2, 3])
def test_engines_agree(seed, tmp_path):
    extent = EVERYTHING._replace(most=150, others=10, seed=seed)
    log = written(made_log(seed), tmp_path)
    first, second = (rows_of(make, log, tmp_path, extent) for make in ENGINES)
    for name in COLUMNS:
        assert first[name].to_pylist() == second[name].to_pylist(), name
    np.testing.assert_allclose(matrix_of(first), matrix_of(second), 1e-7, 1e-7)
    requests = first["request"].to_pylist()
    assert len(set(requests)) == 150
    assert {requests.count(each) for each in set(requests)} == {11}


def test_examples_are_those_of_the_walk(tmp_path):
    log = made_log(4)
    examples = examples_of(rows_of(PolarsEngine, written(log, tmp_path), tmp_path), 1.5)
    described = {kblock: Description(created_at=at) for kblock, at in CREATED.items()}
    replay = PointInTimeReplay(described, SMALL_MEMORY)
    replay.window = Window(WARM_UP)
    collector = ExampleCollector(100_000, 0, 1.5)
    for number, row in enumerate(log):
        event = Event(row.touch)
        is_choice = replay.window.is_impression(event)
        if is_choice:
            collector.add_impression(replay, event, number)
        collector.add_feedback(row.touch, is_impression=is_choice)
        replay.observe(event, counted=is_choice)
    expected = collector.examples(EVERYTHING.until)
    assert len(examples) == len(expected) > 200
    for one, other in zip(examples, expected, strict=True):
        assert (one.at, one.weight) == (other.at, other.weight)
        assert sorted(one.grades) == sorted(other.grades)


def test_a_model_of_relations_serves_as_any_other(tmp_path):
    log = made_log(5, events=3_000)
    rows = rows_of(PolarsEngine, written(log, tmp_path), tmp_path, EVERYTHING._replace(others=30))
    model = fit_rows(rows, TrainingSettings())
    assert model is not None
    assert model.names == RELATIONAL
    assert model.metadata["examples"] == len(set(rows["request"].to_pylist()))
    for few in (0, 1, 100):
        assert fit_rows(rows.slice(0, few), TrainingSettings()) is None


def test_what_readers_chose_to_withhold_is_a_guests(tmp_path):
    log = made_log(6)
    until = BEGIN + 12 * DAY
    inputs = written(log, tmp_path)
    withheld = EventFiles(*inputs[:2], *subjects({"r1": until}, ["r2"], ["s3"]))
    changed = [
        row._replace(touch=row.touch._replace(user_id=GUEST))
        if row.touch.user_id == "r1" and row.touch.at < until
        else row
        for row in log
        if row.touch.user_id != "r2" and row.session != "s3"
    ]
    (tmp_path / "changed").mkdir()
    other_inputs = written(changed, tmp_path / "changed")
    for make in ENGINES:
        one = rows_of(make, withheld, tmp_path)
        other = rows_of(make, other_inputs, tmp_path / "other")
        for name in COLUMNS:
            assert one[name].to_pylist() == other[name].to_pylist(), name
        np.testing.assert_allclose(matrix_of(one), matrix_of(other), 1e-7, 1e-7)


@pytest.mark.parametrize("make", ENGINES)
def test_what_an_engine_cannot_read_is_an_error_in_a_line(make, tmp_path):
    log = written(made_log(0, events=50), tmp_path)
    missing = log._replace(files=[tmp_path / "gone.parquet"])
    bounds = Bounds(0, EVERYTHING.until, 10, 10, 0, WARM_UP)
    with make(tmp_path) as engine:
        trained = trainer_of(engine, missing, TrainingSettings(), SMALL_MEMORY)
        with pytest.raises(InvalidInput, match=f"{engine.name} failed: .*gone.parquet") as error:
            trained(bounds)
    assert "\n" not in str(error.value)
