"""What the names, folders and dates of a vault's files do, and that each file is accounted for."""

import os

import pytest

from harken.services.kblocks.importers.markdown import Vault
from harken.services.kblocks.importers.run import ImportFailure, ImportItem, Skipped
from tests.unit.test_markdown import read, write
from tests.unit.test_wild_notes import at


@pytest.mark.parametrize(
    ("name", "title", "created_at"),
    [
        ("2019-03-04-jekyll-post.md", "jekyll-post", at(2019, 3, 4)),
        ("_posts/2019-03-04-2020-in-review.md", "2020-in-review", at(2019, 3, 4)),
        ("2019-03-04.md", "2019-03-04", at(2019, 3, 4)),
        ("journals/2019_03_04.md", "2019_03_04", at(2019, 3, 4)),
        ("201903041530 Idea.md", "Idea", at(2019, 3, 4, 15, 30)),
        ("20190304.md", "20190304", at(2019, 3, 4)),
        ("2019-02-30-no-day.md", "2019-02-30-no-day", None),
        ("20190230 x.md", "20190230 x", None),
        ("99990101.md", "99990101", None),
        ("1234567890.md", "1234567890", None),
        ("_index.md", "_index", None),
        (" .md", ".md", None),
        ("\x1b[1mbold\n.md", "[1mbold", None),
    ],
)
def test_dates_and_titles_of_file_names(tmp_path, name, title, created_at):
    vault = write(tmp_path / "vault", {name: "---\nlayout: post\n---\nText\n"})
    long_ago = at(2001, 1, 1)
    os.utime(vault / name, (long_ago.timestamp(), long_ago.timestamp()))
    [unit] = list(Vault(vault))
    assert isinstance(unit, ImportItem), unit
    assert (unit.kblock.title, unit.kblock.created_at) == (title, created_at or long_ago)
    write(vault, {name: "---\ndate: 2011-01-01\n---\n# Heading\n"})
    [unit] = list(Vault(vault))
    assert isinstance(unit, ImportItem)
    assert (unit.kblock.title, unit.kblock.created_at) == ("Heading", at(2011, 1, 1))


def test_drafts_are_left_out_unless_asked_for(tmp_path):
    drafts = {
        "a.md": "---\ndraft: true\ntags: [x]\n---\n",
        "b.md": "---\npublished: false\n---\n",
        "c.md": "+++\ndraft = true\n+++\n",
        "_drafts/d.md": "",
    }
    others = {
        "e.md": "---\ndraft: false\n---\n[[a]]",
        "f.md": "---\npublished: 2020-01-01\n---\n",
        "g.md": "---\npublished: true\n---\n",
    }
    vault = write(tmp_path / "vault", drafts | others)
    units = list(Vault(vault))
    assert {unit.kblock.path for unit in units if isinstance(unit, ImportItem)} == set(others)
    assert [unit for unit in units if isinstance(unit, Skipped)] == [Skipped("drafts", 4)]
    found, _ = read(vault)
    assert found["e.md"].edges == ()
    assert found["f.md"].created_at == at(2020, 1, 1)
    found, failed = read(vault, drafts=True)
    assert (set(found), failed) == (set(drafts) | set(others), {})
    marked = {path for path, kblock in found.items() if "draft" in kblock.tags}
    assert marked == set(drafts)
    assert found["a.md"].tags == ("draft", "x")
    assert [edge.target for edge in found["e.md"].edges] == [found["a.md"].id]


def test_folders_as_tags(tmp_path):
    long = "y" * 70
    vault = write(
        tmp_path / "vault",
        {
            "top.md": "",
            "Health/sleep  well/a.md": "---\ntags: [x, health]\n---\n",
            f"_posts/#b/{long}/b.md": "",
        },
    )
    assert read(vault)[0]["Health/sleep  well/a.md"].tags == ("x", "health")
    found, failed = read(vault, folders_as_tags=True)
    assert failed == {}
    assert found["top.md"].tags == ()
    assert found["Health/sleep  well/a.md"].tags == ("x", "health", "sleep well")
    assert found[f"_posts/#b/{long}/b.md"].tags == ("b", "y" * 64)
    remarks = [unit.remarks for unit in Vault(vault, folders_as_tags=True)
               if isinstance(unit, ImportItem) and unit.remarks]  # fmt: skip
    assert [str(each).startswith("folder: is cut for a tag: 'yyy") for [each] in remarks] == [True]


def test_aliases_are_names(tmp_path):
    vault = write(
        tmp_path / "vault",
        {"target.md": "---\naliases: [The Goal]\n---\n", "a.md": "[[The Goal]] ![[target#^b1|x]]"},
    )
    found, _ = read(vault)
    assert [edge.target for edge in found["a.md"].edges] == [found["target.md"].id]


def test_everything_in_a_folder_is_accounted_for(tmp_path):
    vault = write(
        tmp_path / "vault",
        {
            "a.md": "", "b.md": "---\ndraft: true\n---\n", "c.md": b"\xff", "d.txt": "",
            ".obsidian/e.md": "", ".git/f.md": "", ".hidden.md": "", "img/g.png": b"\xff",
        },
    )  # fmt: skip
    (vault / "again.md").symlink_to(vault / "a.md")
    (vault / "img" / "up").symlink_to(vault)
    kinds = [type(unit) for unit in Vault(vault)]
    assert (kinds.count(ImportItem), kinds.count(ImportFailure)) == (1, 1)
    skipped = {unit.kind: unit.number for unit in Vault(vault) if isinstance(unit, Skipped)}
    assert skipped == {"drafts": 1, "hidden": 3, "links": 2, "other files": 2}


def test_a_zero_date_is_no_date_of_others(tmp_path):
    notes = {f"n{n}.md": f"# Note {n}\n" for n in range(1, 11)}
    vault = write(
        tmp_path / "vault", notes | {"zero.md": "---\ndate: 0001-01-01T00:00:00Z\n---\nB\n"}
    )
    found, failed = read(vault)
    assert (len(found), failed) == (11, {})
    assert all(kblock.created_at and kblock.created_at.year > 2000 for kblock in found.values())


def test_zero_times_in_a_list_of_times_and_of_files(tmp_path):
    vault = write(tmp_path / "vault", {"a.md": "", "b.md": ""})
    for name in ("a.md", "b.md"):
        os.utime(vault / name, (0, 0))
    times = tmp_path / "times.tsv"
    times.write_text("0001-01-01T00:00:00Z\ta.md\n9999-12-31\tb.md\n")
    source = Vault(vault, created_from=times)
    units = list(source)
    assert [unit.kblock.created_at for unit in units if isinstance(unit, ImportItem)] == [
        None,
        None,
    ]
    [failure] = [unit for unit in units if isinstance(unit, ImportFailure)]
    assert failure.where.endswith("times.tsv, line 2")
    assert source.remarks == [f"{times} has 1 zero times, which mean no date."]
