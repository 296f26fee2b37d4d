"""The examples of the clients' pages print what the pages show, against a real server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_documented_commands import ADDRESS, pattern
from tests.support.server import HarkenServer

ROOT = Path(__file__).parents[2]
EXAMPLE = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_kind", ["sqlite"])]


def test_the_page_of_the_python_client_shows_what_its_examples_print(database_url, tmp_path):
    page = (ROOT / "docs/python-client.md").read_text("utf-8")
    examples = EXAMPLE.findall(page)
    assert len(examples) == page.count("```python") > 3
    path = {"PYTHONPATH": str(ROOT / "clients/python/src")}
    with HarkenServer(database_url) as server:
        for source, shown in examples:
            done = subprocess.run(
                [sys.executable, "-W", "error", "-c", source.replace(ADDRESS, server.url)],
                cwd=tmp_path, env=os.environ | path, capture_output=True, text=True, timeout=60,
                check=False,
            )  # fmt: skip
            assert pattern(shown.strip()).fullmatch(done.stdout.strip()), (
                f"{source}\n{done.stdout}\n{done.stderr[-2000:]}"
            )
