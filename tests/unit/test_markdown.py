"""What is made of a folder of Markdown notes."""

import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harken.domain.kblock import KBlock
from harken.errors import InvalidInput
from harken.services.kblocks.importers.markdown import Vault
from harken.services.kblocks.importers.run import ImportFailure, ImportItem

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def write(folder: Path, notes: Mapping[str, str | bytes]) -> Path:
    for name, content in notes.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def read(folder: Path, **options) -> tuple[dict[str | None, KBlock], dict[str | None, str]]:
    """Return the notes by path, and the reasons of failures by path."""
    units = list(Vault(folder, **options))
    found = [unit.kblock for unit in units if isinstance(unit, ImportItem)]
    failed = {unit.path: unit.reason for unit in units if isinstance(unit, ImportFailure)}
    return {kblock.path: kblock for kblock in found}, failed


def one(tmp_path: Path, content: str | bytes) -> KBlock | str:
    """Return the only note of a vault, or why it failed."""
    found, failed = read(write(tmp_path / "vault", {"note.md": content}))
    both: list[KBlock | str] = [*found.values(), *failed.values()]
    assert len(both) == 1
    return both[0]


def edges(kblock: KBlock, found: dict[str | None, KBlock]) -> set[tuple[str, str]]:
    paths = {each.id: str(path) for path, each in found.items()}
    return {(edge.kind.value, paths.get(edge.target, edge.target)) for edge in kblock.edges}


def test_what_front_matter_says(tmp_path):
    note = one(
        tmp_path,
        "---\ntitle: 'A:  title'\ntags: [no, 1.10, '#three', no]\nid: my-id\nlayer: 3\n"
        "confidence: 0.75\nauthor: Ada\nprinciples: joy, ethics,\ncreated: 2025-12-25\n"
        "other: {nested: [1, {deeper: x}]}\nempty:\n---\n# Heading\n\nText.\n",
    )
    assert isinstance(note, KBlock)
    assert note.model_dump(exclude={"content", "edges"}) == {
        "id": "my-id", "title": "A: title", "path": "note.md", "kind": "note", "layer": 3,
        "author": "Ada", "tags": ("no", "1.10", "three"), "principles": ("joy", "ethics"),
        "galois_loss": 0.25, "created_at": datetime(2025, 12, 25, tzinfo=UTC),
    }  # fmt: skip
    assert note.content == "# Heading\n\nText.\n"


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("---\ntitle: Given\n---\n# Heading", "Given"),
        ("\n\n# All of `it` *here* #\n", "All of it here"),
        ("# C#\n", "C#"),
        ("## Small\n\ntext\n\n# Large\n", "Large"),
        ("text\n\n## Small\n", "Small"),
        ("Under\n=====\n", "Under"),
        ("```sh\n# a comment\n```\n> # quoted\n", "note"),
        ("#hashtag\n", "note"),
        ("---\ntitle: ~\n---\n#\n", "note"),
        ("# " + "x" * 600, "x" * 499 + "…"),
        ("", "note"),
    ],
)
def test_titles(tmp_path, content, title):
    note = one(tmp_path, content)
    assert isinstance(note, KBlock)
    assert note.title == title


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("created: 2025-12-25T10:30:00+02:00", datetime(2025, 12, 25, 8, 30, tzinfo=UTC)),
        ("created_at: 2025-12-25 10:30", datetime(2025, 12, 25, 10, 30, tzinfo=UTC)),
        ("date: 2025-12-25 10:30:00 +0100", datetime(2025, 12, 25, 9, 30, tzinfo=UTC)),
        ("firstSeen: 2025-12-25T10:30:00Z", datetime(2025, 12, 25, 10, 30, tzinfo=UTC)),
        ("date: 2020-01-01\ncreated: 2019-01-01", datetime(2019, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_of_front_matter(tmp_path, written, at):
    note = one(tmp_path, f"---\n{written}\n---\n")
    assert isinstance(note, KBlock)
    assert note.created_at == at


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff", "is not UTF-8 at byte 0; save it as UTF-8"),
        ("привет".encode("cp1251"), "is not UTF-8 at byte 0; save it as UTF-8"),
        (b"plain \x81 text", "is not UTF-8 at byte 6; save it as UTF-8"),
        (b"\xff\xfea", "is not UTF-16; save it as UTF-8"),
        ("text".encode("utf-16-le"), "has zero bytes as UTF-16 has them; save it as UTF-8"),
        ("x" * (1024 * 1024 + 1), "content: takes 1048577 bytes; at most 1048576 are kept"),
    ],
)
def test_what_cannot_be_read_says_what_would_be_right(tmp_path, content, reason):
    assert one(tmp_path, content) == reason


def test_a_few_aliases_that_stand_for_billions_take_no_time(tmp_path):
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 18)
    )
    for key in (
        "id",
        "title",
        "author",
        "tags",
        "layer",
        "contradicts",
        "date",
        "aliases",
        "draft",
    ):
        note = one(tmp_path, f"---\n{bomb}{key}: *a17\n---\nText")
        assert isinstance(note, KBlock)
        assert note.content == "Text"


def test_what_is_no_front_matter(tmp_path):
    for content in ("---\nno end, so a rule", "\n---\na: b\n---\n", "text\n---\n"):
        note = one(tmp_path, content)
        assert isinstance(note, KBlock)
        assert note.content == content
    marked = one(tmp_path, b"\xef\xbb\xbf---\r\ntitle: Windows\r\n---\r\ntext\r\n")
    assert isinstance(marked, KBlock)
    assert (marked.title, marked.content) == ("Windows", "text\r\n")


def test_links_become_edges(tmp_path):
    vault = write(
        tmp_path / "vault",
        {
            "index.md": "[[Other]] [[deep/NOTE|alias]] [[Its Title#part]] [a](deep/note%20two.md) "
            "[b](./other.md#x) [[C#]]\n\n`[[code]]` \\[[escaped]] [gone](gone.md) [[nobody]] "
            "[web](https://example.org/other.md) [self](index.md)\n\n"
            "```\n[[fenced]]\n```\n\n    [[indented]]\n\n| a |\n|---|\n| [[table\\|x]] |\n",
            "other.md": "[up](../other.md) [root](/deep/note.md) [r]\n\n[r]: index.md\n",
            "deep/note.md": "[[note two]] [[../other]] [[index.md]] [x](../index)",
            "deep/note two.md": "---\ntitle: Two\n---\n",
            "titled.md": "# Its title",
            **{f"{name}.md": "" for name in ("c#", "code", "escaped", "fenced", "indented")},
            "table.md": "",
        },
    )
    found, failed = read(vault)
    assert failed == {}
    assert edges(found["index.md"], found) == {
        ("links", path)
        for path in (
            "other.md", "deep/note.md", "titled.md", "deep/note two.md", "c#.md", "table.md",
        )
    }  # fmt: skip
    assert edges(found["other.md"], found) == {("links", "deep/note.md"), ("links", "index.md")}
    assert edges(found["deep/note.md"], found) == {
        ("links", "deep/note two.md"), ("links", "other.md"), ("links", "index.md"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "unit",
    ["[", "[[", "![", "![](", "[a](", "[a](<", "[[" * 240 + "\n\n", "![" * 490 + "\n\n",
     "[a]: b\n"],
)  # fmt: skip
def test_a_megabyte_of_marks_costs_seconds_and_hides_no_link(tmp_path, unit):
    hostile = (unit * 2**19)[: 2**20 - 60] + "\n\n[[other]], and [this](deep/note.md)\n"
    files = {"index.md": hostile, "other.md": "", "deep/note.md": ""}
    found, failed = read(write(tmp_path / "vault", files))
    assert failed == {}
    assert edges(found["index.md"], found) >= {("links", "other.md"), ("links", "deep/note.md")}


def test_a_paragraph_of_very_many_links_has_them_all(tmp_path):
    names = [f"note {number}" for number in range(900)]
    index = ", ".join(f"[[{name}|so]]" for name in names[:450])
    index += ", ".join(f"[so]({name.replace(' ', '%20')}.md)" for name in names[450:])
    found, _ = read(
        write(tmp_path / "vault", {"index.md": index, **{f"{name}.md": "" for name in names}})
    )
    assert edges(found["index.md"], found) == {("links", f"{name}.md") for name in names}


def test_namesakes_are_told_apart_by_case_then_folder_then_depth(tmp_path):
    vault = write(
        tmp_path / "vault",
        {
            "a/from.md": "[[same]] [[Case]]",
            "b/from.md": "[[same]]",
            "a/same.md": "",
            "same.md": "",
            "a/case.md": "",
            "c/d/Case.md": "",
        },
    )
    found, _ = read(vault)
    assert edges(found["a/from.md"], found) == {("links", "a/same.md"), ("links", "c/d/Case.md")}
    assert edges(found["b/from.md"], found) == {("links", "same.md")}


@pytest.mark.parametrize(
    ("written", "targets"),
    [
        ("other", {"deep/other.md"}),
        ("'[[Other|alias]]'", {"deep/other.md"}),
        ("[[Other]]", {"deep/other.md"}),
        ("[deep/other.md, by-id, elsewhere]", {"deep/other.md", "third.md", "elsewhere"}),
        ("[\n'[[third]]', [[other]]]", {"deep/other.md", "third.md"}),
    ],
)
def test_contradictions(tmp_path, written, targets):
    vault = write(
        tmp_path / "vault",
        {
            "note.md": f"---\ncontradicts: {written}\n---\n[[third]]",
            "deep/other.md": "",
            "third.md": "---\nid: by-id\n---\n",
        },
    )
    found, failed = read(vault)
    assert failed == {}
    expected = {("contradicts", each) for each in targets} | {("links", "third.md")}
    assert edges(found["note.md"], found) == expected


def test_a_link_to_a_note_that_fails_stays(tmp_path):
    vault = write(tmp_path / "vault", {"a.md": "[[b]]", "b.md": b"\xff"})
    [broken] = read(vault)[0]["a.md"].edges
    write(vault, {"b.md": ""})
    found, _ = read(vault)
    assert found["b.md"].id == broken.target


def test_ids_depend_on_the_vault_and_the_path_only(tmp_path):
    vault = write(tmp_path / "one" / "vault", {"a.md": "x", "b/a.md": "x"})
    found, _ = read(vault)
    assert len({kblock.id for kblock in found.values()}) == 2
    again, _ = read(write(tmp_path / "two" / "vault", {"a.md": "y"}))
    assert again["a.md"].id == found["a.md"].id
    assert read(vault, name="other")[0]["a.md"].id != found["a.md"].id
    assert Vault(vault).name == "markdown:vault"
    assert Vault(vault, "other").name == "markdown:other"
    assert len(Vault(vault, "x" * 500).name) <= 255


def test_files_that_are_no_notes_are_left_out(tmp_path):
    vault = write(
        tmp_path / "vault",
        {"a.MD": "", "b.markdown": "", "c.txt": "", ".d.md": "", ".obsidian/e.md": ""},
    )
    (vault / "folder.md").mkdir()
    found, failed = read(vault)
    assert (set(found), failed) == ({"a.MD", "b.markdown"}, {})


def test_links_of_the_file_system_are_not_followed(tmp_path):
    vault = write(tmp_path / "vault", {"a/note.md": ""})
    outside = write(tmp_path / "outside", {"secret.md": "secret"})
    (vault / "a" / "up").symlink_to(vault)
    (vault / "again.md").symlink_to(vault / "a" / "note.md")
    (vault / "loop.md").symlink_to(vault / "loop.md")
    (vault / "out").symlink_to(outside)
    (vault / "out.md").symlink_to(outside / "secret.md")
    (vault / "out.txt").symlink_to(outside / "secret.md")
    (vault / "gone.md").symlink_to(vault / "nothing")
    os.mkfifo(vault / "pipe.md")
    found, failed = read(vault)
    assert set(found) == {"a/note.md"}
    assert set(failed) == {"loop.md", "out", "out.md", "gone.md", "pipe.md"}
    for path in ("out", "out.md"):
        assert str(failed[path]).startswith("is a link that leads out of the folder")
    for path in ("loop.md", "gone.md"):
        assert str(failed[path]).startswith("is a link that leads nowhere")
    assert failed["pipe.md"] == "must be a regular file"


def test_a_huge_file_is_not_read(tmp_path):
    vault = write(tmp_path / "vault", {"a.md": "", "huge.md": ""})
    os.truncate(vault / "huge.md", 50 * 1024 * 1024)
    found, failed = read(vault)
    assert set(found) == {"a.md"}
    assert failed == {"huge.md": "takes 52428800 bytes; at most 1048576 are kept"}


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InvalidInput, match=r"folder: .*: No such file or directory"):
        read(tmp_path / "nothing")
    with pytest.raises(InvalidInput, match="vault: must not be blank"):
        Vault(tmp_path, " ")


# Times


def aged(folder: Path, *names: str, at: datetime = LONG_AGO) -> None:
    for name in names:
        os.utime(folder / name, (at.timestamp(), at.timestamp()))


def test_a_list_of_times_then_the_time_of_the_file(tmp_path):
    vault = write(
        tmp_path / "vault", {"a.md": "---\ndate: 2020-01-01\n---\n", "b.md": "", "c.md": ""}
    )
    aged(vault, "c.md")
    times = tmp_path / "times.tsv"
    times.write_text("2019-05-05T10:00:00-05:00\tb.md\n2018-01-01\ta.md\n\nsoon\tc.md\n")
    found, failed = read(vault, created_from=times)
    assert found["a.md"].created_at == datetime(2020, 1, 1, tzinfo=UTC)
    assert found["b.md"].created_at == datetime(2019, 5, 5, 15, tzinfo=UTC)
    assert found["c.md"].created_at == LONG_AGO
    assert [str(reason)[:35] for reason in failed.values()] == [
        "must be a time such as 2025-12-25T1"
    ]
    with pytest.raises(InvalidInput, match=r"created_from: .*No such file"):
        read(vault, created_from=tmp_path / "none.tsv")


def test_git_says_when_a_note_was_added(tmp_path):
    """Also under its first name; what is not in git has the time of its file."""
    repository = write(tmp_path / "repo", {"vault/a.md": "one", "vault/old name.md": "two\n" * 20})

    def git(*arguments: str, at: str = "2015-06-01T12:00:00+02:00") -> None:
        dates = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(
            ["git", *who, *arguments], cwd=repository, env=os.environ | dates, check=True
        )

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    git("mv", "vault/old name.md", "vault/né.md")
    write(repository, {"vault/a.md": "changed"})
    git("add", ".")
    git("commit", "--quiet", "-m", "second", at="2016-06-01T12:00:00Z")
    # What a repository's own configuration says is not run.
    for key in ("diff.external", "core.fsmonitor", "core.pager", "diff.x.textconv"):
        git("config", key, f"touch {tmp_path}/ran; false")
    write(repository, {".gitattributes": "*.md diff=x\n", "vault/new.md": ""})
    aged(repository, "vault/new.md")
    found, _ = read(repository / "vault")
    assert {path: kblock.created_at for path, kblock in found.items()} == {
        "a.md": datetime(2015, 6, 1, 10, tzinfo=UTC),
        "né.md": datetime(2015, 6, 1, 10, tzinfo=UTC),
        "new.md": LONG_AGO,
    }
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("files", "spread", "copied"), [(10, 59, True), (9, 0, False), (10, 61, False)]
)
def test_undated_notes_of_a_copy_are_not_the_newest(tmp_path, files, spread, copied):
    vault = write(tmp_path / "vault", {f"{n}.md": "" for n in range(files)})
    dated = {"0.md": "---\ndate: 2012-01-01\n---\n", "1.md": "---\ndate: 2011-01-01\n---\n"}
    write(vault, dated)
    aged(vault, *(f"{n}.md" for n in range(files)))
    aged(vault, "0.md", at=datetime.fromtimestamp(LONG_AGO.timestamp() + spread, UTC))
    source = Vault(vault)
    found = {unit.kblock.path: unit.kblock for unit in source if isinstance(unit, ImportItem)}
    assert found["5.md"].created_at == (datetime(2011, 1, 1, tzinfo=UTC) if copied else LONG_AGO)
    assert [remark[:46] for remark in source.remarks] == (
        ["8 of 10 notes of vault have no date, and their files were copied"[:46]] if copied else []
    )


def test_where_no_note_of_a_copy_has_a_date_the_summary_says_so(tmp_path):
    vault = write(tmp_path / "vault", {f"{n}.md": "" for n in range(10)})
    aged(vault, *(f"{n}.md" for n in range(10)))
    source = Vault(vault)
    assert {unit.kblock.created_at for unit in source if isinstance(unit, ImportItem)} == {LONG_AGO}
    [remark] = source.remarks
    assert remark.startswith("No note of vault has a date, and its files were copied: all count")
    assert "--created-from" in remark
