"""Spark for tests: it needs the extra `spark` and Java 17, and is no part of the extra `test`."""

import os
import shutil
from importlib.util import find_spec

import psutil
import pytest

from tests.support.chromium import REQUIRED

EXECUTOR = "org.apache.spark.executor.CoarseGrainedExecutorBackend"


def need_spark() -> None:
    """Skip the test without Spark; with HARKEN_TEST_REQUIRE_BROWSER=1 it fails."""
    has_java = shutil.which("java") is not None or "JAVA_HOME" in os.environ
    if find_spec("pyspark") is not None and has_java:
        return
    missing = "Spark needs Java 17 or newer, and: pip install -c constraints.txt -e '.[spark]'"
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{missing}, and {REQUIRED}=1 asks for it", pytrace=False)
    pytest.skip(missing)


def executors() -> list[psutil.Process]:
    """Return the executors that this process started."""
    return [each for each in psutil.Process().children(recursive=True) if _is_executor(each)]


def _is_executor(process: psutil.Process) -> bool:
    try:
        return EXECUTOR in process.cmdline()
    except psutil.Error:  # it ended meanwhile
        return False
