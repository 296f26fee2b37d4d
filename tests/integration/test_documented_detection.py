"""The commands of docs/integrity.md print what it shows."""

import os
import subprocess
import sys
from pathlib import Path

from tests.integration.test_documented_commands import ROOT, commands, pattern

PAGE = "docs/integrity.md"


def test_the_page_shows_what_its_commands_print(tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    environment = {
        **os.environ, "COLUMNS": "100",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    found = list(commands((ROOT / PAGE).read_text("utf-8")))
    assert len(found) == 4
    for command in found:
        done = subprocess.run(
            ["bash", "-c", command.line.replace("harken ", "python -m harken ", 1)],
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=200, check=False,
        )  # fmt: skip
        printed = "\n".join(each.rstrip() for each in done.stdout.strip().splitlines())
        assert pattern(command.output).fullmatch(printed), f"$ {command.line}\n{printed}"
