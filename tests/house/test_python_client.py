"""What is made of the Python client is made of its sources, and its package can be built."""

import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[2] / "clients" / "python"
MADE = CLIENT / "src" / "harken_client"


@pytest.mark.parametrize("name", ["shapes", "async_client"])
def test_it_is_what_its_script_makes(name):
    made = subprocess.run(
        [sys.executable, CLIENT / "scripts" / f"{name}.py"],
        capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    file = MADE / f"{name}.py"
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", file, "-"],
        input=made.stdout, capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert formatted.stdout == file.read_text("utf-8"), "run: make client"


def test_the_licence_is_that_of_the_whole():
    assert (CLIENT / "LICENSE").read_bytes() == (CLIENT.parents[1] / "LICENSE").read_bytes()


def test_both_clients_have_the_same_methods():
    from harken_client import AsyncClient, Client

    def public(kind):
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)
