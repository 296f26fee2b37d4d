"""The list of commands tells what the commands are, and imports none of them."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import typer

from harken.protocols.cli import app
from harken.protocols.cli.command_list import COMMANDS

# What `harken --help` and `--version` may import, beside the standard library.
LIGHT = {"annotated_doc", "colorama", "harken", "shellingham", "typer", "typing_extensions"}
# What commands on a database may import, beside these: no server, no Alembic, no client of HTTP.
DATABASE = LIGHT | {
    "aiosqlite", "annotated_types", "asyncpg", "cython_runtime", "dotenv", "greenlet", "nh3",
    "numpy", "pydantic", "pydantic_core", "pydantic_settings", "rich", "sqlalchemy",
    "typing_inspection", "uuid_utils",
}  # fmt: skip
OF_HARKEN = {
    "harken", "harken.__main__", "harken.errors", "harken.garbage", "harken.protocols",
    "harken.protocols.cli", "harken.protocols.cli.command_list", "harken.protocols.cli.examples",
}  # fmt: skip
ASK = """
import json, runpy, sys
sys.argv = ["harken", *sys.argv[1:]]
before = {name.partition(".")[0] for name in sys.modules}
try:
    runpy.run_module("harken", run_name="__main__")
except SystemExit:
    pass
print(json.dumps([sorted(before), sorted(sys.modules)]))
"""


def modules_of(*arguments, environment=None):
    """Return what the command line imports for some arguments, and what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, *arguments], capture_output=True, text=True, timeout=120,
        check=True, env=environment,
    )  # fmt: skip
    printed, _, last = done.stdout.rstrip().rpartition("\n")
    before, after = json.loads(last)
    known = {*before, *sys.stdlib_module_names}
    return [each for each in after if each.partition(".")[0] not in known], printed


def test_help_imports_no_command():
    imported, printed = modules_of("--help")
    assert {each.partition(".")[0] for each in imported} <= LIGHT
    assert {each for each in imported if each.startswith("harken")} <= OF_HARKEN
    assert all(f" {name} " in printed for name in COMMANDS)


def test_the_version_imports_no_command():
    imported, printed = modules_of("--version")
    assert {each.partition(".")[0] for each in imported} <= LIGHT
    assert printed.startswith("harken ")


@pytest.mark.parametrize("command", ["verify", "analytics"])
def test_a_command_imports_what_it_uses(command, tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/log.db"
    environment = os.environ | {"HARKEN_DATABASE_URL": url}
    harken = [sys.executable, "-m", "harken"]
    subprocess.run([*harken, "migrate"], env=environment, check=True, capture_output=True)
    imported, _printed = modules_of(command, environment=environment)
    # The C extensions of some wheels register modules that begin with an underscore.
    found = {each.partition(".")[0] for each in imported if not each.startswith("_")}
    assert found <= DATABASE
    assert "harken.services.feed.service" not in imported


def test_the_list_says_what_each_command_says():
    group: Any = typer.main.get_command(app)
    assert list(group.commands) == list(COMMANDS)
    for name, listed in COMMANDS.items():
        command = group.load(name)
        first, _, _ = (command.short_help or command.help).partition("\n\n")
        assert " ".join(first.split()) == listed.help, name
    # The modules that are listed have no other commands.
    assert list(group.commands) == list(COMMANDS)


def test_a_name_that_is_nearly_one_is_corrected(harken):
    run = harken("modles", "list")
    assert run.code == 2
    assert "Did you mean 'models'" in run.err


NICENESS = """
import atexit, os, sys
sys.argv = ["harken", *sys.argv[1:], "--help"]
atexit.register(lambda: print(os.nice(0)))
from harken.protocols.cli import main
main()
"""


@pytest.mark.skipif(not hasattr(os, "nice"), reason="the system has no priorities")
@pytest.mark.parametrize("name", ["serve", "report", "import"])
def test_long_computations_give_way_to_servers(name):
    done = subprocess.run(
        [sys.executable, "-c", NICENESS, name], capture_output=True, text=True, timeout=120,
        check=True,
    )  # fmt: skip
    own = os.nice(0)
    assert int(done.stdout.split()[-1]) == (own if name == "serve" else max(own, 10))
