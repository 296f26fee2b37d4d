"""The documentation site builds without warnings, such as broken links."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED_FROM_ELSEWHERE = re.compile(r'<(?:link|script|img)[^>]+(?:href|src)="(?:https?:)?//')


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    built = subprocess.run(
        [
            sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going",
            "--doctree-dir", tmp_path / "doctrees", ROOT / "docs", tmp_path / "site",
        ],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        assert not LOADED_FROM_ELSEWHERE.search(page.read_text("utf-8")), page.name
