"""The examples run, and the docs show them as they are."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("example", "prints"),
    [
        ("feed.py", "0.50 Hello\n0.00 World\n"),
        ("record.py", "Attention score: 0.4167\n"),
        ("own_feed.py", "0.80 unknown\n0.50 known\n"),
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_python_example(database_url, tmp_path, example, prints):
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / example],
        env={"HARKEN_DATABASE_URL": database_url, "PATH": ""},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (prints, "")


def test_the_docs_of_python_show_the_examples_as_they_are():
    page = (ROOT / "docs/python.md").read_text("utf-8")
    blocks = [block.split("```")[0] for block in page.split("```python\n")[1:]]
    for block, example in zip(blocks, ("feed.py", "record.py"), strict=True):
        assert block in (ROOT / "examples" / example).read_text("utf-8")


def test_the_docs_of_feeds_show_the_example_as_it_is():
    [shown] = (ROOT / "docs/feeds.md").read_text("utf-8").split("```python\n")[1:]
    assert shown.split("```")[0] in (ROOT / "examples/own_feed.py").read_text("utf-8")
