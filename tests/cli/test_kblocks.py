"""`harken kblocks`: show, list, search, delete; and what every command shares."""

import json
import shlex
import socket
from pathlib import Path
from typing import Any

import pytest
import typer

from harken.protocols.cli import app
from harken.protocols.cli.examples import EXAMPLES

NOTES: list[dict[str, Any]] = [
    {"id": "git", "title": "Git [hooks]", "content": "A hook runs before a commit.",
     "tags": ["vcs"], "author": "Ines"},
    {"id": "bread", "title": "Bread", "content": "Knead\x1b[31m the dough.", "author": "Okoro"},
]  # fmt: skip


@pytest.fixture
def filled(harken, tmp_path):
    lines = tmp_path / "notes.jsonl"
    lines.write_text("".join(json.dumps(note) + "\n" for note in NOTES))
    assert harken("import", "jsonl", lines).code == 0
    return harken


def test_kblocks_are_found_listed_shown_and_deleted(filled):
    found = filled("kblocks", "search", "HOOKS")
    assert found.code == 0
    assert "Git [hooks]" in found.out
    assert "title" in found.out
    assert "1 to 1 of 1 K-Block." in found.out
    page = filled("kblocks", "search", "kne*", "-commit", "--json")
    assert page.code == 2  # an option that is none
    page = filled("kblocks", "search", "--json", "--", "kne*", "-commit").json
    assert [item["id"] for item in page["items"]] == ["bread"]
    assert page["understood"] == "kne* -commit"
    assert filled("kblocks", "search", "nothing").out == "No K-Block is found.\n"
    refused = filled("kblocks", "search", "!!")
    assert refused.code == 1
    assert "has no word" in refused.err
    first = filled("kblocks", "list", "--limit", "1", "--json").json
    other = filled("kblocks", "list", "--limit", "1", "--cursor", first["next_cursor"], "--json")
    both = [*first["items"], *other.json["items"]]
    assert sorted(item["id"] for item in both) == ["bread", "git"]
    assert [
        item["id"] for item in filled("kblocks", "list", "--tag", "vcs", "--json").json["items"]
    ]
    shown = filled("kblocks", "show", "bread")
    assert "Author: Okoro" in shown.out
    assert "Knead\\x1b[31m the dough." in shown.out
    assert filled("kblocks", "show", "git", "--json").json["content"] == NOTES[0]["content"]
    assert filled("kblocks", "show", "none").code == 1
    refused = filled("kblocks", "delete", "git")
    assert refused.code == 1
    assert "--yes" in refused.err
    gone = filled("kblocks", "delete", "git", "none", "--yes", "--json")
    assert gone.code == 1
    assert gone.json == {"deleted": ["git"], "missing": ["none"]}
    assert filled("kblocks", "search", "hooks").out == "No K-Block is found.\n"
    verified = filled("verify", "--json").json
    assert verified["search"] == {"kblocks": 1, "missing": 0, "orphaned": 0}
    assert filled("rebuild", "--search", "--json").json == {"search": 0}


def commands(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def loaded():
    group: Any = typer.main.get_command(app)
    for name in group.commands:
        group.load(name)
    return group


COMMANDS = dict(commands(loaded()))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_json_and_examples_that_can_be_parsed(path, tmp_path, monkeypatch):
    command = COMMANDS[path]
    if path != ("serve",):  # it ends with no result
        assert any("--json" in parameter.opts for parameter in command.params)
    examples = EXAMPLES[" ".join(path)]
    assert all(example in command.epilog for example in examples)
    monkeypatch.chdir(tmp_path)
    for example in examples:
        program, *words = shlex.split(example)
        assert (program, *words[: len(path)]) == ("harken", *path)
        for word in words:
            if "/" not in word:
                Path(word).touch()  # files that an example reads
        with command.make_context(path[-1], words[len(path) :]):
            pass


def test_an_export_replaces_nothing_unless_it_is_told_to(filled, tmp_path):
    log, own = tmp_path / "log.jsonl", tmp_path / "ada.json"
    filled("record", "ada", "git", "view")
    for command, file in (
        (("export", log), log),
        (("user", "export", "ada", "--output", own), own),
        (("models", "export", "none", own), own),
    ):
        file.write_text("mine")
        refused = filled(*command)
        assert refused.code == 1
        assert "is already there" in refused.err
        assert file.read_text() == "mine"
    assert filled("export", log, "--force", "--json").json == {"file": str(log), "events": 1}
    assert "ada" in log.read_text()
    assert filled("user", "export", "ada", "--output", own, "--force").code == 0
    assert json.loads(own.read_text())["events"]


def test_a_taken_port_is_said_first(harken, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = harken("serve", "--port", port, HARKEN_DATABASE_URL="sqlite:///no/such/folder/x.db")
    assert run.code == 1
    assert f"port: {port} on 127.0.0.1 is in use" in run.err
    assert "folder" not in run.err


def test_a_kblock_is_shown_with_its_comments(filled):
    said = json.dumps({"text": "Mine rises.\nAnd \x1b[31myours?"})
    done = filled(
        "record", "ada", "bread", "engage", "--interaction-type", "comment", "--metadata", said
    )
    assert done.code == 0, done.err
    shown = filled("kblocks", "show", "bread").out
    assert "Comments: 1" in shown
    assert "  Mine rises.\n  And \\x1b[31myours?" in shown
    [comment] = filled("kblocks", "show", "bread", "--json").json["comments"]
    assert (comment["user_id"], comment["edited_at"]) == ("ada", None)
    assert "Comments" not in filled("kblocks", "show", "git").out
