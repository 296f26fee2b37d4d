"""Whatever the OpenAPI document allows, and whatever it does not, is answered as it says.

Schemathesis reads the document of a real server and asks it thousands of things, in all its phases.
`schemathesis.toml` has what it may take for granted, and why.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import SOAK
from tests.support.server import HarkenServer

KEY = "sesame"
CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 300 if SOAK else 3
SECONDS = 7_200 if SOAK else 600
# Both databases and both kinds of access; all four of them when there is time. The values at the
# ends of each parameter (the phase `coverage`, most of the requests) come from the document alone.
ALL = "examples,coverage,fuzzing,stateful"
WAYS = [("sqlite", None, ALL if SOAK else "examples,fuzzing"), ("postgresql", KEY, ALL)]
WAYS += [("sqlite", KEY, ALL), ("postgresql", None, ALL)] if SOAK else []


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize(("database_kind", "key", "phases"), WAYS)
def test_the_service_answers_as_its_document_says(
    database_kind, key, phases, database_url, tmp_path
):
    with HarkenServer(database_url, **({"HARKEN_API_KEYS": key} if key else {})) as server:
        command: list[str | Path] = [
            sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG,
            "run", f"{server.url}/openapi.json", "--phases", phases,
            "--max-examples", str(EXAMPLES),
            "--generation-database", "none", "--no-color", "--request-timeout", "60",
        ]  # fmt: skip
        command += [] if SOAK else ["--seed", "1"]
        command += ["--header", f"X-API-Key: {key}"] if key else []
        found = subprocess.run(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", check=False, timeout=SECONDS,
        )  # fmt: skip
        assert found.returncode == 0, found.stdout
        assert "97 selected / 97 total" in found.stdout, found.stdout  # nothing is left out
        assert "Traceback" not in server.output, server.output[-5_000:]
