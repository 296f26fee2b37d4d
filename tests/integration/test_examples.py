"""The examples run, and README shows them as they are."""

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


def test_readme_shows_the_examples_as_they_are():
    readme = (ROOT / "README.md").read_text("utf-8")
    for block, example in zip((1, 2), ("feed.py", "record.py"), strict=True):
        shown = readme.split("```python\n")[block].split("```")[0]
        assert shown in (ROOT / "examples" / example).read_text("utf-8")


def test_the_docs_of_feeds_show_the_example_as_it_is():
    [shown] = (ROOT / "docs/feeds.md").read_text("utf-8").split("```python\n")[1:]
    assert shown.split("```")[0] in (ROOT / "examples/own_feed.py").read_text("utf-8")
