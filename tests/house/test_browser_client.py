"""The types of the browser client match the OpenAPI document, and its own tests pass.

`npm test` also checks the types of the scripts of the pages.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from harken.domain.kblock import KBlock
from harken.protocols.api.schemas import KBlockShape
from tests.support.chromium import REQUIRED, program
from tests.support.server import HarkenServer

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "typescript"
STATIC = ROOT / "src/harken/protocols/pages/static"


@pytest.mark.parametrize(
    ("whose", "file"), [("client", "openapi.json"), ("pages", "pages/openapi.json")]
)
def test_the_openapi_document_is_that_of_the_service(whose, file):
    made = subprocess.run(
        [sys.executable, CLIENT / "scripts" / "openapi.py", whose],
        capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert made.stdout == (CLIENT / file).read_text("utf-8"), "run: make client"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_its_own_tests_pass(sqlite_template, tmp_path):
    npm = program("npm")
    installed = _run(npm, "ci", "--no-audit", "--no-fund")
    if installed.returncode and os.environ.get(REQUIRED) != "1":
        pytest.skip("npm cannot install what the client is built with: this is not tested")
    assert installed.returncode == 0, installed.stdout
    shutil.copy(sqlite_template, tmp_path / "harken.db")
    with HarkenServer(f"sqlite+aiosqlite:///{tmp_path / 'harken.db'}") as server:
        notes = [
            {
                "id": each.lower(),
                "title": each,
                "content": "A note.",
                "created_at": f"202{year}-01-01T00:00:00Z",
            }
            for year, each in enumerate(("Hello", "Second", "Third"))
        ]
        put = httpx.post(
            f"{server.url}/api/kblocks/batch", json={"kblocks": notes}, trust_env=False
        )
        assert put.json()["added"] == len(notes)
        tested = _run(npm, "test", HARKEN_TEST_URL=server.url)
    assert tested.returncode == 0, tested.stdout
    assert "# skipped 0" in tested.stdout


def _run(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=CLIENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, text=True, check=False, env=os.environ | more,
    )  # fmt: skip


def test_the_editor_sends_back_what_a_k_block_may_have():
    script = (STATIC / "js/reader/actions/editing.js").read_text("utf-8")
    [listed] = re.findall(r"const ADDED = \[(.*)\];", script)
    added = set(re.findall(r"'(\w+)'", listed))
    assert added == KBlockShape.model_fields.keys() - KBlock.model_fields.keys()
