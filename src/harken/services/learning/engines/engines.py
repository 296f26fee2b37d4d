"""The engines that compute relations: Polars and DuckDB on this machine, Spark on several.

An engine reads Parquet files of events with the columns of the archive, and gives `narwhals` frames
to the modules beside this one, which know no engine. What is computed once is kept as Parquet in a
work folder. So plans stay short, memory stays bounded, and what an executor of Spark had finished
outlives it.
"""

import importlib
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, Self

import narwhals as nw

from harken.errors import InvalidInput, MissingExtra, Problem, first_line
from harken.services.learning.engines import LOCAL_CLUSTER
from harken.services.learning.engines.log_relations import Frame


class Engine(AbstractContextManager["Engine"], Protocol):
    """Computes relations; ends what it started when the context ends."""

    name: ClassVar[str]

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What it raises where it cannot compute something."""

    def events(self, files: Sequence[Path]) -> Frame:
        """Return the events of Parquet files: `at`, `id`, `reader`, `kblock`, `action`, `dwell`.

        `session` is there too; `at` is in microseconds since 1970.
        """

    def table(self, rows: Any) -> Frame:
        """Return a small table of pyarrow as a relation."""

    def keep(self, frame: Frame) -> Frame:
        """Compute a relation now, and return what reads the result."""

    def rows(self, frame: Frame) -> Any:
        """Compute a relation, and return it as a table of pyarrow."""


class _Kept:
    """Names the files of kept relations in a work folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def next(self) -> str:
        """Return the path of a file that does not exist yet."""
        self._count += 1
        return str(self.folder / f"relation-{self._count}.parquet")


class PolarsEngine:
    """Polars in this process, in its streaming mode."""

    name: ClassVar[str] = "polars"

    def __init__(self, folder: Path) -> None:
        self._polars = _required("polars", "engines")
        self._kept = _Kept(folder)
        self.failures: tuple[type[Exception], ...] = (
            self._polars.exceptions.PolarsError,
            OSError,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was started."""

    def events(self, files: Sequence[Path]) -> Frame:
        """Return the events of Parquet files."""
        pl = self._polars
        read = pl.scan_parquet([str(each) for each in files], hive_partitioning=False)
        return _frame(
            read.select(
                pl.col("occurred_at").dt.epoch("us").alias("at"),
                *(pl.col(name).alias(own) for own, name in _COLUMNS.items()),
            )
        )

    def table(self, rows: Any) -> Frame:
        """Return a table of pyarrow as a relation."""
        return _frame(self._polars.from_arrow(rows).lazy())

    def keep(self, frame: Frame) -> Frame:
        """Compute a relation, and return what reads the result."""
        path = self._kept.next()
        frame.sink_parquet(path)
        return _frame(self._polars.scan_parquet(path))

    def rows(self, frame: Frame) -> Any:
        """Compute a relation, and return it as a table of pyarrow."""
        return frame.collect("pyarrow").to_native()


class DuckEngine:
    """DuckDB in this process; what does not fit into memory goes to the work folder."""

    name: ClassVar[str] = "duckdb"

    def __init__(self, folder: Path) -> None:
        duckdb = _required("duckdb", "engines")
        self._connection = duckdb.connect(
            config={"temp_directory": str(folder), "autoinstall_known_extensions": "false"}
        )
        self._kept = _Kept(folder)
        self.failures: tuple[type[Exception], ...] = (duckdb.Error,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def events(self, files: Sequence[Path]) -> Frame:
        """Return the events of Parquet files."""
        read = self._connection.read_parquet([str(each) for each in files], hive_partitioning=False)
        columns = (f"{name} AS {own}" for own, name in _COLUMNS.items())
        return _frame(read.project(", ".join(["epoch_us(occurred_at) AS at", *columns])))

    def table(self, rows: Any) -> Frame:
        """Return a table of pyarrow as a relation."""
        return _frame(self._connection.from_arrow(rows))

    def keep(self, frame: Frame) -> Frame:
        """Compute a relation, and return what reads the result."""
        path = self._kept.next()
        frame.sink_parquet(path)
        return _frame(self._connection.read_parquet(path))

    def rows(self, frame: Frame) -> Any:
        """Compute a relation, and return it as a table of pyarrow."""
        return frame.collect("pyarrow").to_native()


class SparkEngine:
    """Spark by its master URL; on several machines, all of them see the files and the work folder.

    Only Spark's own expressions run: executors start no Python.
    """

    name: ClassVar[str] = "spark"

    def __init__(self, folder: Path, master: str = LOCAL_CLUSTER) -> None:
        self._spark = _required("pyspark", "spark")
        self._functions = importlib.import_module("pyspark.sql.functions")
        self.failures: tuple[type[Exception], ...] = (
            importlib.import_module("pyspark.errors").PySparkException,
            importlib.import_module("py4j.protocol").Py4JError,
        )
        try:
            self._session = _session(importlib.import_module("pyspark.sql"), master)
        except self.failures as error:
            raise failed(self.name, error) from error
        self._kept = _Kept(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        own = self._session.sparkContext.applicationId
        self._session.stop()
        # A local cluster leaves the logs and jars of its executors beside Spark itself.
        home = os.environ.get("SPARK_HOME") or Path(self._spark.__file__).parent
        shutil.rmtree(Path(home) / "work" / own, ignore_errors=True)

    def events(self, files: Sequence[Path]) -> Frame:
        """Return the events of Parquet files."""
        read = self._session.read.option("recursiveFileLookup", "true").parquet(
            *(f"file://{each}" for each in files)
        )
        of = self._functions
        return _frame(
            read.select(
                of.unix_micros("occurred_at").alias("at"),
                *(of.col(name).alias(own) for own, name in _COLUMNS.items()),
            )
        )

    def table(self, rows: Any) -> Frame:
        """Return a table of pyarrow as a relation."""
        return _frame(self._session.createDataFrame(rows))

    def keep(self, frame: Frame) -> Frame:
        """Compute a relation, and return what reads the result."""
        path = f"file://{self._kept.next()}"
        frame.to_native().write.parquet(path)
        return _frame(self._session.read.parquet(path))

    def rows(self, frame: Frame) -> Any:
        """Compute a relation, and return it as a table of pyarrow."""
        return frame.to_native().toArrow()


_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "id": "interaction_id", "reader": "user_id", "kblock": "kblock_id", "action": "action",
        "dwell": "dwell_time_ms", "session": "session_id",
    }
)  # fmt: skip


def engine_of(name: str, folder: Path, master: str = LOCAL_CLUSTER) -> Engine:
    """Return an engine by its name; `master` is Spark's master URL. Raises MissingExtra."""
    match name:
        case PolarsEngine.name:
            return PolarsEngine(folder)
        case DuckEngine.name:
            return DuckEngine(folder)
        case _:
            return SparkEngine(folder, master)


def failed(name: str, error: Exception) -> InvalidInput:
    """Return the error that says why an engine could not do something, in a line."""
    return InvalidInput(Problem("engine", f"{name} failed: {first_line(error)[:300]}"))


def _frame(native: Any) -> Frame:
    found: Frame = nw.from_native(native)
    return found


def _required(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtra("This engine", extra) from None


def _session(sql: Any, master: str) -> Any:
    builder = sql.SparkSession.builder.master(master).appName("harken train")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.sql.session.timeZone": "UTC",
    }
    if master.startswith("local"):
        # Nothing listens but on this machine, neither here nor in the executors.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        cores = os.cpu_count() or 1
        settings |= {
            "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": str(cores),
        }  # fmt: skip
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
