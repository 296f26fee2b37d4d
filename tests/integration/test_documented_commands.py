"""The commands of the README and the tutorial print what these pages show.

In a ```console block, the text after `$ ` is a command; it continues while a line ends with a
backslash or a quote is open. The lines below are its output: `…` stands for any text, and an age
such as `297 d` for any age. A block without `$ ` is not run.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.server import HarkenProgram

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/tutorial.md", "docs/first-ten-minutes.md")
ADDRESS = "http://127.0.0.1:8000"
AGE = re.compile(r"\b\d+\\ (d|h|min|s)\b")


class Command(NamedTuple):
    """A command as a page shows it, and the output that the page shows."""

    line: str
    output: str


def commands(page: str) -> Iterator[Command]:
    """Yield the commands of a page in their order."""
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = each.splitlines()
            count = 1
            while lines[count - 1].endswith("\\") or "\n".join(lines[:count]).count("'") % 2:
                count += 1
            yield Command("\n".join(lines[:count]), "\n".join(lines[count:]).strip())


def pattern(output: str) -> re.Pattern[str]:
    """Return the pattern of the outputs that a shown output stands for."""
    shown = AGE.sub(r"\\d+\\ \1", re.escape(output))
    return re.compile(shown.replace("…", ".*"), re.DOTALL)


@pytest.mark.skipif(not shutil.which("curl"), reason="the pages use curl")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_page_shows_what_its_commands_print(database_url, tmp_path, page):
    """As in a checkout in which `make run` serves."""
    for name in ("src", "docs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {
        **os.environ, "HARKEN_DATABASE_URL": database_url, "COLUMNS": "100",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip

    def run(line: str) -> str:
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200, check=False,
        )  # fmt: skip
        return "\n".join(each.rstrip() for each in done.stdout.strip().splitlines())

    run("harken import markdown src/harken/vault")
    found = list(commands((ROOT / page).read_text("utf-8")))
    assert len(found) > 3
    with HarkenProgram(database_url) as server:
        for command in found:
            if command.line.startswith("source "):  # the environment is the test's own
                continue
            line = command.line.replace(ADDRESS, server.url).replace("curl ", "curl -sS ", 1)
            printed = run(line)
            assert pattern(command.output).fullmatch(printed), (
                f"$ {line}\n{printed}\n--- {page} shows:\n{command.output}"
            )


def test_ages_and_ellipses_stand_for_other_text():
    shown = pattern("Title │ 297 d │ …\n1 of 8.")
    assert shown.fullmatch("Title │ 12 d │ any\nthing\n1 of 8.")
    assert not shown.fullmatch("Title │ 12 d │ any\n2 of 8.")
