"""The command line, on each database, run in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest


class Run(NamedTuple):
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def harken(database_url, tmp_path) -> Callable[..., Run]:
    def run(*arguments: Any, **env: str) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", "harken", *map(str, arguments)],
            env=os.environ | {"HARKEN_DATABASE_URL": database_url, "COLUMNS": "200"} | env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    return run
