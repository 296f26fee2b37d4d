"""The examples run, and README shows them as they are."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_the_python_example(database_url, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "record.py"],
        env={"HARKEN_DATABASE_URL": database_url, "PATH": ""},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("Attention score: 0.4167\n", "")


def test_readme_shows_the_example_as_it_is():
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = readme.split("```python\n")[1].split("```")[0]
    assert shown in (ROOT / "examples" / "record.py").read_text("utf-8")
