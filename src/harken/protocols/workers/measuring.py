"""The folder in which the processes of a server keep their metrics, so that each can tell the sum.

prometheus-client keeps counters in files if `PROMETHEUS_MULTIPROC_DIR` names a folder when it is
imported. A supervisor names one before it starts processes, unless you have named one yourself.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from prometheus_client import multiprocess

from harken.settings.telemetry import TelemetrySettings

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class SharedFolder:
    """The folder of a server; None without metrics."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    @contextmanager
    def of(cls, settings: TelemetrySettings) -> Iterator["SharedFolder"]:
        """Provide a folder that is empty at first; one that Harken made is removed at the end."""
        given = os.environ.get(VARIABLE)
        if not settings.metrics:
            yield cls(None)
        elif given:
            Path(given).mkdir(parents=True, exist_ok=True)
            for old in Path(given).glob("*.db"):
                old.unlink()
            yield cls(Path(given))
        else:
            with tempfile.TemporaryDirectory(prefix="harken-metrics-") as made:
                os.environ[VARIABLE] = made
                yield cls(Path(made))
                del os.environ[VARIABLE]

    def forget(self, pid: int) -> None:
        """Remove the gauges of a process that has ended; its counters are kept."""
        if self._folder is not None:
            cast("Any", multiprocess).mark_process_dead(pid, str(self._folder))
