"""`harken import markdown`, `rss` and `jsonl`."""

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from tests.support.web import Answer, web
from tests.unit.test_rss import ATOM

DATA = Path(__file__).parents[3] / "shared/data"
TIL = DATA / "vault_til"
SNIPPETS = DATA / "vault_30s/snippets"


@pytest.fixture
def vault(tmp_path) -> Path:
    folder: Path = tmp_path / "notes"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.md").write_text(f"# Note {name}\n")
    return folder


def counts(run) -> tuple[int, ...]:
    names = ("added", "updated", "unchanged", "vanished", "failed")
    return tuple(run.json[name] for name in names)


def test_a_folder_of_notes(harken, vault):
    first = harken("import", "markdown", vault)
    assert (first.code, first.out) == (
        0, "2 added, 0 updated, 0 unchanged, 0 vanished, 0 failed.\n",
    )  # fmt: skip
    again = harken("import", "markdown", vault, "--json")
    assert counts(again) == (0, 0, 2, 0, 0)
    (vault / "a.md").unlink()
    kept = harken("import", "markdown", vault)
    assert "Vanished K-Blocks are kept; --prune deletes them." in kept.err
    assert "1 vanished K-Blocks were deleted." in harken("import", "markdown", vault, "--prune").err
    assert harken("import", "markdown", vault, "--dry-run", "--json").json["dry_run"] is True


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_failures_are_listed_and_the_others_imported(harken, vault):
    for n in range(25):
        (vault / f"bad {n:02}.md").write_bytes(b"\xff")
    run = harken("import", "markdown", "notes")
    assert run.code == 1
    assert run.out == "2 added, 0 updated, 0 unchanged, 0 vanished, 25 failed.\n"
    lines = run.err.splitlines()
    assert lines[0] == "notes/bad 00.md: is not UTF-8 at byte 0; save it as UTF-8"
    assert lines[20] == "… and 5 more failures"
    assert len(harken("import", "markdown", "notes", "--json").json["failures"]) == 25


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_remarks_are_listed_and_the_notes_imported(harken, vault):
    for n in range(25):
        (vault / f"odd {n:02}.md").write_text("---\nlayer: 9\n---\n")
    (vault / "odd 00.md").write_text("---\nlayer: 9\ndate: 01/02/2023\n---\n")
    run = harken("import", "markdown", "notes")
    assert (run.code, run.out) == (0, "27 added, 0 updated, 0 unchanged, 0 vanished, 0 failed.\n")
    lines = run.err.splitlines()
    assert lines[0] == "notes/odd 00.md: layer: must be a whole number from 0 to 7, not '9'"
    assert lines[1].startswith("notes/odd 00.md: date: could be two days; write it as year-month")
    assert lines[20] == "… and 6 more remarks; by field: layer 25, date 1"
    found = harken("import", "markdown", "notes", "--json").json
    assert found["remarked"] == {"layer": 25, "date": 1}
    assert len(found["field_remarks"]) == 26
    assert found["field_remarks"][0] == [
        "notes/odd 00.md", "layer: must be a whole number from 0 to 7, not '9'",
    ]  # fmt: skip


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_drafts_and_folders(harken, vault):
    (vault / "deep").mkdir()
    (vault / "deep" / "c.md").write_text("---\ndraft: true\ntags: x\n---\n")
    (vault / "picture.png").write_text("")
    run = harken("import", "markdown", "notes")
    assert run.out == "2 added, 0 updated, 0 unchanged, 0 vanished, 0 failed, 2 skipped.\n"
    assert run.err.splitlines() == [
        "Skipped, by kind: drafts 1, other files 1.", "--drafts imports drafts, too.",
    ]  # fmt: skip
    run = harken("import", "markdown", "notes", "--drafts", "--folders-as-tags", "--json")
    assert (counts(run), run.json["skipped"]) == ((1, 0, 2, 0, 0), {"other files": 1})
    listed = harken("feed", "--json").json
    assert [item["tags"] for item in listed["items"] if item["tags"]] == [["draft", "x", "deep"]]


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_several_folders_are_several_vaults(harken, vault, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.md").write_text("a")
    assert counts(harken("import", "markdown", "notes", "other", "--json")) == (3, 0, 0, 0, 0)
    assert harken("import", "markdown", "notes", "other", "--vault", "x").code == 2
    assert harken("import", "markdown", "notes", "other", "--created-from", "x").code == 2
    same = harken("import", "markdown", "notes", "./notes")
    assert (same.code, "folders: must have distinct names" in same.err) == (1, True)
    gone = harken("import", "markdown", "notes", "nothing")
    assert gone.code == 1
    assert "Before the error: 0 added, 0 updated, 2 unchanged" in gone.err
    assert "harken: folder: nothing: No such file or directory" in gone.err


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_only_where_there_is_nothing_yet(harken, vault):
    assert counts(harken("import", "markdown", vault, "--if-empty", "--json"))[0] == 2
    (vault / "c.md").write_text("c")
    run = harken("import", "markdown", vault, "--if-empty", "--json")
    assert (run.code, counts(run)) == (0, (0, 0, 0, 0, 0))
    assert "The database already has K-Blocks" in run.err


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_feeds_and_json_lines(harken, tmp_path):
    feed = tmp_path / "feed.xml"
    feed.write_text(ATOM)
    assert counts(harken("import", "rss", feed, "--json")) == (1, 0, 0, 0, 0)
    feed.write_text("no feed")
    run = harken("import", "rss", tmp_path)
    assert (run.code, run.err) == (1, f"{feed}: must be a feed, RSS or Atom\n")
    lines = tmp_path / "kblocks.jsonl"
    lines.write_text('{"id": "k1", "title": "One"}\n{"id": "k2"}\n')
    run = harken("import", "jsonl", lines, "--prune")
    assert (run.code, run.err) == (1, f"{lines}, line 2: title: is required\n")


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_feeds_of_the_web(harken, monkeypatch):
    """A fetched list may refer to private addresses only with --allow-private."""
    monkeypatch.setenv("no_proxy", "*")
    with web({"/feed": Answer(ATOM.encode())}) as served:
        served.pages["/list"] = Answer(b'<opml><body><outline xmlUrl="feed"/></body></opml>')
        assert counts(harken("import", "rss", f"{served.url}/feed", "--json")) == (1, 0, 0, 0, 0)
        refused = harken("import", "rss", f"{served.url}/list")
        assert refused.code == 1
        assert "is not a public address; --allow-private" in refused.err
        listed = harken("import", "rss", f"{served.url}/list", "--allow-private", "--json")
        assert counts(listed) == (0, 0, 1, 0, 0)
    wrong = harken("import", "rss", "ftp://example.org/feed")
    assert "path: must be a path, or a URL that begins with http://" in wrong.err


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_an_import_can_be_interrupted_and_given_again(harken, interrupted_import, tmp_path):
    lines = [json.dumps({"id": f"k{n}", "title": "t"}) + "\n" for n in range(2_000)]
    file = tmp_path / "kblocks.jsonl"
    with contextlib.closing(sqlite3.connect(tmp_path / "harken.db")) as kept:
        done = interrupted_import(
            "jsonl", file, "--prune",
            first=lines[:900],
            until=lambda: kept.execute("SELECT count(*) FROM kblocks").fetchone()[0] >= 500,
            then=lines[900:1_200],
        )  # fmt: skip
    assert (done["interrupted"], done["vanished"]) == (True, 0)
    assert 500 <= done["added"] <= 1_200
    file.write_text("".join(lines))
    run = harken("import", "jsonl", file, "--json")
    assert counts(run) == (2_000 - done["added"], 0, done["added"], 0, 0)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_files_that_are_not_there(harken):
    assert "path: none.xml: No such file" in harken("import", "rss", "none.xml").err
    assert "file: none.jsonl: No such file" in harken("import", "jsonl", "none.jsonl").err
    assert "interactions" in harken("import", "--help").out


@pytest.mark.skipif(not SNIPPETS.exists(), reason="the 30-seconds notes are not on this machine")
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_notes_with_front_matter(harken):
    assert counts(harken("import", "markdown", SNIPPETS, "--json")) == (536, 0, 0, 0, 0)
    assert counts(harken("import", "markdown", SNIPPETS, "--json")) == (0, 0, 536, 0, 0)


@pytest.mark.skipif(not TIL.exists(), reason="the TIL notes are not on this machine")
def test_notes_with_a_list_of_times(harken):
    options = [TIL, "--created-from", TIL / "_created.tsv", "--json"]
    first = harken("import", "markdown", *options)
    assert counts(first) == (1_862, 0, 0, 0, 0)
    assert first.json["remarks"][0].startswith("38 of 1862 notes of vault_til have no date")
    assert counts(harken("import", "markdown", *options)) == (0, 0, 1_862, 0, 0)
