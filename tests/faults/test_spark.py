"""Spark on several processes of this machine, one of which is killed at work."""

import threading
import time
from typing import Any

import numpy as np
import psutil
import pytest

from harken.services.learning.engines import item_neighbours
from harken.services.learning.engines.engines import PolarsEngine, SparkEngine
from harken.services.learning.engines.log_relations import Frame
from harken.services.learning.engines.training import compute_neighbours, compute_rows, fit_rows
from harken.services.learning.engines.training_rows import COLUMNS, RELATIONAL
from harken.services.learning.rolling_training import TrainingSettings
from tests.support.engine_logs import EVERYTHING, SMALL_MEMORY, made_log, written
from tests.support.spark import executors, need_spark

EXTENT = EVERYTHING._replace(others=10)


QUICK_TO_START = """
spark.driver.extraJavaOptions    -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
spark.executor.extraJavaOptions  -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
spark.sql.adaptive.enabled       false
spark.sql.codegen.factoryMode    NO_CODEGEN
spark.sql.codegen.wholeStage     false
"""
"""Compiling takes longer than the work on a log as small as this."""


class Killing(SparkEngine):
    """Spark, one executor of which is killed while tasks of the first and largest answer run."""

    killed: psutil.Process | None = None

    def rows(self, frame: Frame) -> Any:
        if self.killed is not None:
            return super().rows(frame)
        before = executors()
        assert len(before) == 2
        done = threading.Event()
        killer = threading.Thread(target=self._kill, args=(before[0], done))
        killer.start()
        try:
            return super().rows(frame)
        finally:
            done.set()
            killer.join()

    def _kill(self, executor: psutil.Process, done: threading.Event) -> None:
        tracker = self._session.sparkContext.statusTracker()
        while not done.is_set():
            stages = [tracker.getStageInfo(each) for each in tracker.getActiveStageIds()]
            if any(each is not None and each.numActiveTasks for each in stages):
                executor.kill()
                self.killed = executor
                return
            time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(900)  # three processes of Java begin, beside all other tests
def test_a_killed_executor_changes_no_row_and_no_neighbour(tmp_path, monkeypatch):
    need_spark()
    monkeypatch.setattr(item_neighbours, "most_candidates", lambda: 20)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "spark-defaults.conf").write_text(QUICK_TO_START)
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path / "conf"))
    log = written(made_log(7), tmp_path)
    for name in ("polars", "spark"):
        (tmp_path / name).mkdir()
    with PolarsEngine(tmp_path / "polars") as polars:
        expected = _ordered(compute_rows(polars, log, EXTENT, SMALL_MEMORY))
        alike = compute_neighbours(polars, log, EXTENT.until, SMALL_MEMORY)
    with Killing(tmp_path / "spark") as spark:
        found = _ordered(compute_rows(spark, log, EXTENT, SMALL_MEMORY))
        its_own = compute_neighbours(spark, log, EXTENT.until, SMALL_MEMORY)
    assert spark.killed is not None
    assert not spark.killed.is_running()
    for name in COLUMNS:
        assert found[name].to_pylist() == expected[name].to_pylist(), name
    for name in RELATIONAL:
        own, other = found[name].to_numpy(), expected[name].to_numpy()
        np.testing.assert_allclose(own, other, 1e-6, 1e-6, err_msg=name)
    one, other = (fit_rows(rows, TrainingSettings()) for rows in (found, expected))
    assert one is not None
    assert other is not None
    ndcg = [each.metadata["metrics"]["ndcg@10"] for each in (one, other)]
    assert ndcg[0] == pytest.approx(ndcg[1], abs=1e-6)
    assert its_own is not None
    assert alike is not None
    assert its_own.items == alike.items
    for name, array in alike.method.arrays().items():
        np.testing.assert_allclose(its_own.method.arrays()[name], array, 1e-6, err_msg=name)


def _ordered(rows: Any) -> Any:
    return rows.sort_by([(name, "ascending") for name in ("asked_at", "request", "kblock")])
