"""The list of commands tells what the commands are, and imports none of them."""

import json
import subprocess
import sys
from typing import Any

import typer

from harken.protocols.cli import app
from harken.protocols.cli.command_list import COMMANDS

# What `harken --help` may import, beside the standard library.
LIGHT = {
    "attr",  # rich looks for it, and other packages bring it
    "annotated_doc", "click", "harken", "markdown_it", "mdurl", "pygments", "rich", "shellingham",
    "typer", "typing_extensions",
}  # fmt: skip
OF_HARKEN = {
    "harken", "harken.__main__", "harken.errors", "harken.protocols", "harken.protocols.cli",
    "harken.protocols.cli.command_list", "harken.protocols.cli.examples",
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


def modules_of(*arguments):
    """Return what the command line imports for some arguments, and what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, *arguments], capture_output=True, text=True, timeout=120,
        check=True,
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
