"""Importing K-Blocks, on each database."""

import asyncio
import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harken.domain.kblock import KBlock
from harken.services.kblocks.importers.jsonl import KBlockLines
from harken.services.kblocks.importers.markdown import Vault
from harken.services.kblocks.importers.rss import feeds
from harken.services.kblocks.importers.run import ImportFailure, ImportItem, KBlockImport, Summary
from harken.services.kblocks.store import KBlockStore
from tests.unit.test_markdown import write
from tests.unit.test_rss import ATOM


@pytest.fixture
def store(session_factory) -> KBlockStore:
    return KBlockStore(session_factory)


@pytest.fixture
def vault(tmp_path) -> Path:
    folder: Path = tmp_path / "vault"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.md", "b.md", "deep/c.md"):
        (folder / name).write_text(f"---\ndate: 2020-01-01\n---\n{name} [[a]]\n")
    return folder


async def run(store: KBlockStore, *sources, **options) -> Summary:
    work = KBlockImport(store, **options)
    for source in sources:
        await work.run(source)
    return work.summary


def counts(summary: Summary) -> tuple[int, ...]:
    return (
        summary.added, summary.updated, summary.unchanged, summary.vanished, summary.failed,
    )  # fmt: skip


async def test_again_unchanged_then_updated(store, vault):
    assert counts(await run(store, Vault(vault))) == (3, 0, 0, 0, 0)
    assert counts(await run(store, Vault(vault))) == (0, 0, 3, 0, 0)
    (vault / "a.md").write_text("---\ndate: 2020-01-01\ntitle: New\n---\n")
    (vault / "d.md").write_text("---\ndate: 2020-01-01\n---\n")
    assert counts(await run(store, Vault(vault), dry_run=True)) == (1, 1, 2, 0, 0)
    assert counts(await run(store, Vault(vault))) == (1, 1, 2, 0, 0)
    titles = {
        kblock.title for kblock in [u.kblock for u in Vault(vault) if isinstance(u, ImportItem)]
    }
    assert titles == {"New", "b", "c", "d"}
    paths = await store.paths("markdown:vault")
    assert sorted(str(path) for path in paths.values()) == ["a.md", "b.md", "d.md", "deep/c.md"]


async def test_a_dry_run_writes_nothing(store, vault):
    assert counts(await run(store, Vault(vault), dry_run=True)) == (3, 0, 0, 0, 0)
    assert await store.count() == 0
    await run(store, Vault(vault))
    (vault / "deep" / "c.md").unlink()
    summary = await run(store, Vault(vault), dry_run=True, prune=True)
    assert (counts(summary), summary.deleted) == ((0, 0, 2, 1, 0), 0)
    assert await store.count() == 3


async def test_what_vanished_is_deleted_only_on_request(store, vault):
    await run(store, Vault(vault))
    await store.put([KBlock(id="mine", title="not imported")])
    (vault / "a.md").unlink()
    kept = await run(store, Vault(vault))
    # The links of the others to it are gone, too.
    assert (counts(kept), kept.deleted) == ((0, 2, 0, 1, 0), 0)
    assert await store.count() == 4
    pruned = await run(store, Vault(vault), prune=True)
    assert (counts(pruned), pruned.deleted) == ((0, 0, 2, 1, 0), 1)
    assert await store.count() == 3
    assert counts(await run(store, Vault(vault), prune=True)) == (0, 0, 2, 0, 0)


async def test_what_cannot_be_read_has_not_vanished(store, vault):
    """Neither a note, nor the notes of a folder."""
    await run(store, Vault(vault))
    (vault / "a.md").write_bytes(b"\xff")
    (vault / "deep").rename(vault / "elsewhere")
    (vault / "deep").symlink_to("/")
    (vault / "elsewhere" / "c.md").unlink()
    summary = await run(store, Vault(vault), prune=True)
    assert (counts(summary), summary.deleted) == ((0, 0, 1, 0, 2), 0)
    assert await store.count() == 3


WILD: dict[str, str | bytes] = {
    "author.md": '---\nauthor:\n  - "[[Jane Doe]]"\ntags: #alpha #beta\n---\nText\n',
    "broken.md": "---\ntitle: Fwd: hints\ndate: 2014-04-30\n---\nText\n",
    "zero.md": "---\ndate: 0001-01-01T00:00:00Z\nlayer: 9\n---\nText\n",
    "far.md": "---\ndate: 9999-12-31\nid: " + "x" * 80 + "\n---\nText\n",
    "toml.md": '+++\ntitle = "TOML"\ndate = 2023-01-02T03:04:05Z\n+++\nText\n',
    "2019-03-04-post.md": "---\nlayout: post\n---\nText\n",
    "draft.md": "---\ndraft: true\n---\nText\n",
    "bytes.md": b"Caf\xe9 \0\n",
    "refused.md": b"\xff\xfe\0",
    ".hidden.md": "",
    "picture.png": "",
}


async def test_notes_of_the_wild_are_kept_and_stay_as_they_are(store, tmp_path):
    wild = write(tmp_path / "wild", WILD)
    first = await run(store, Vault(wild))
    assert counts(first) == (7, 0, 0, 0, 1)
    assert first.skipped == {"drafts": 1, "hidden": 1, "other files": 1}
    assert sum(counts(first)) + sum(first.skipped.values()) == len(WILD)
    assert first.remarked == {"front matter": 1, "date": 2, "layer": 1, "id": 1, "encoding": 2}
    assert len(first.field_remarks) == 7
    again = await run(store, Vault(wild))
    assert counts(again) == (0, 0, 7, 0, 1)
    assert (again.field_remarks, again.skipped) == (first.field_remarks, first.skipped)
    for kblock_id, path in (await store.paths(Vault(wild).name)).items():
        found = await store.get(kblock_id)
        assert found is not None
        assert found.kblock.content == ("Café \n" if path == "bytes.md" else "Text\n")


async def test_a_note_that_has_become_a_draft_has_vanished(store, vault):
    await run(store, Vault(vault))
    (vault / "b.md").write_text("---\ndate: 2020-01-01\ndraft: true\n---\n")
    assert counts(await run(store, Vault(vault))) == (0, 0, 2, 1, 0)
    assert counts(await run(store, Vault(vault, drafts=True))) == (0, 1, 2, 0, 0)
    pruned = await run(store, Vault(vault), prune=True)
    assert (counts(pruned), pruned.deleted) == ((0, 0, 2, 1, 0), 1)


async def test_an_empty_folder_deletes_nothing(store, vault):
    """It may be a disk that is not mounted."""
    await run(store, Vault(vault))
    for path in vault.rglob("*.md"):
        path.unlink()
    summary = await run(store, Vault(vault), prune=True)
    assert (counts(summary), summary.deleted) == ((0, 0, 0, 3, 0), 0)
    assert summary.remarks == ["Nothing was found, so nothing was deleted."]


async def test_of_two_with_an_id_the_first_counts(store, vault, tmp_path):
    """Also where they are of two vaults."""
    (vault / "a.md").write_text("---\nid: same\n---\n")
    (vault / "b.md").write_text("---\nid: same\n---\n")
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.md").write_text("---\nid: same\n---\n")
    summary = await run(store, Vault(vault), Vault(other))
    assert counts(summary) == (2, 0, 0, 0, 2)
    first = vault / "a.md"
    twice = (
        f"id: 'same' is already the id of {first}, which was imported; give one of them another id"
    )
    assert summary.failures == [(str(vault / "b.md"), twice), (str(other / "x.md"), twice)]
    kept = await store.get("same")
    assert kept is not None
    assert kept.kblock.path == "a.md"


class Endless:
    """K-Blocks without end, of about a kilobyte each."""

    name = "test:endless"
    is_whole = True
    total: int | None = None
    remarks: list[str] = []  # noqa: RUF012

    def __init__(self) -> None:
        self.done = 0

    def __iter__(self) -> Iterator[ImportItem | ImportFailure]:
        while True:
            self.done += 1
            yield ImportItem("x", KBlock(id=f"k{self.done}", title="t", content="x" * 1_000))


async def test_what_is_being_committed_when_cancelled_counts(store):
    work = KBlockImport(store, prune=True)
    task = asyncio.create_task(work.run(Endless()))
    while await store.count() == 0:
        pass
    task.cancel()
    summary = await task
    assert summary.interrupted
    assert summary.added == await store.count() > 0
    assert summary.vanished == 0


class Unclear(Endless):
    def __iter__(self) -> Iterator[ImportItem | ImportFailure]:
        yield ImportFailure("line 1", "is not JSON")


async def test_where_a_failure_may_be_any_nothing_has_vanished(store):
    await store.put([KBlock(id="k", title="t")], source=Unclear.name)
    summary = await run(store, Unclear(), prune=True)
    assert (counts(summary), summary.deleted) == ((0, 0, 0, 0, 1), 0)


async def test_names_that_no_database_can_store(store, tmp_path):
    vault = tmp_path / os.fsdecode(b"va\xffult\x1b[1m")
    vault.mkdir()
    (vault / "a.md").write_text("a")
    (vault / os.fsdecode(b"b\xff.md")).write_text("b")
    summary = await run(store, Vault(vault))
    assert counts(summary) == (1, 0, 0, 0, 1)
    [(where, reason)] = summary.failures
    assert where.isprintable()
    assert "path: must not contain lone surrogates" in reason
    assert len(await store.paths(r"markdown:va\udcffult\x1b[1m")) == 1


async def test_articles_that_drop_out_of_a_feed_stay(store, tmp_path):
    feed = tmp_path / "feed.xml"
    for name in ("urn:1", "urn:2"):
        feed.write_text(ATOM.replace("urn:1", name))
        summary = await run(store, *feeds(feed), prune=True)
        assert counts(summary) == (1, 0, 0, 0, 0)
    assert counts(await run(store, *feeds(feed))) == (0, 0, 1, 0, 0)
    assert len(await store.paths("rss:feed.xml")) == 2


@pytest.mark.parametrize("name", ["kblocks.jsonl", "kblocks.jsonl.gz", "kblocks.ndjson"])
async def test_json_lines(store, tmp_path, name):
    path = tmp_path / name
    lines = [
        json.dumps({"id": "k1", "title": "One", "created_at": "2025-12-25T10:30:00Z",
                    "edges": [{"target": "k2", "kind": "contradicts"}], "tags": ["joy"]}),
        json.dumps({"id": "k2", "title": "Two", "content": "\u0001" * 600_000}),
        json.dumps({"id": "k3", "title": "Three"}),
    ]  # fmt: skip

    async def imported(*lines: str) -> Summary:
        content = "\n".join(lines).encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        return await run(store, KBlockLines(path), prune=True)

    assert counts(await imported(*lines)) == (3, 0, 0, 0, 0)
    assert counts(await imported(*lines)) == (0, 0, 3, 0, 0)
    summary = await imported(lines[0], '{"id": "k2", "titel": "Two"}', lines[0])
    # k2 failed and is still there; k3 has vanished.
    assert (counts(summary), summary.deleted) == ((0, 0, 1, 1, 2), 1)
    (second, reason), (third, twice) = summary.failures
    assert (second, third) == (f"{path}, line 2", f"{path}, line 3")
    assert reason.startswith("title: is required; titel: is not a known field")
    assert twice.startswith(f"id: 'k1' is already the id of {path}, line 1")
    summary = await imported("{", lines[2])
    assert (counts(summary), summary.deleted) == ((1, 0, 0, 0, 1), 0)
    assert summary.failures[0][1].startswith("is not JSON")


@pytest.mark.parametrize(
    "given",
    [
        "0001-01-01T00:00:00Z", "0001-01-01T00:00:00", "0001-01-01T00:00:00-08:00",
        "9999-12-31T23:59:59.999999Z", "0999-12-31T23:59:59Z", "3000-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z", "0000-00-00T00:00:00Z", 0,
        -62_135_596_800, 253_402_300_799,
    ],
)  # fmt: skip
async def test_a_line_whose_date_is_none_is_kept_without_it(store, tmp_path, given):
    path = tmp_path / "kblocks.jsonl"
    line = {"id": "k", "title": "K", "created_at": given}
    path.write_text(json.dumps(line))
    before = datetime.now(UTC)
    summary = await run(store, KBlockLines(path))
    assert counts(summary) == (1, 0, 0, 0, 0)
    [remark] = summary.remarks
    assert remark.startswith(f"{path}, line 1: created_at {given!r} is a zero, or is outside")
    assert before <= (await store.get("k")).kblock.created_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    "given", ["1000-01-01T00:00:00Z", "2099-01-01T00:00:00+23:59", "2999-12-31T23:59:59.999999Z"]
)
async def test_a_line_with_a_far_date_is_kept_with_it(store, tmp_path, given):
    path = tmp_path / "kblocks.jsonl"
    path.write_text(json.dumps({"id": "k", "title": "K", "created_at": given}))
    summary = await run(store, KBlockLines(path))
    assert (counts(summary), summary.remarks) == ((1, 0, 0, 0, 0), [])
    assert (await store.get("k")).kblock.created_at == datetime.fromisoformat(given)


@pytest.mark.parametrize("given", ["yesterday", "2025-12-25T10:30:00", True, [], ""])
async def test_a_line_whose_date_cannot_be_read_is_refused(store, tmp_path, given):
    path = tmp_path / "kblocks.jsonl"
    path.write_text(json.dumps({"id": "k", "title": "K", "created_at": given}))
    summary = await run(store, KBlockLines(path))
    assert counts(summary) == (0, 0, 0, 0, 1)
    assert summary.failures[0][1].startswith("created_at: ")


async def test_many_lines_without_a_date_are_counted(store, tmp_path):
    path = tmp_path / "kblocks.jsonl"
    lines = [
        json.dumps({"id": f"k{number}", "title": "K", "created_at": "0001-01-01T00:00:00Z"})
        for number in range(12)
    ]
    path.write_text("\n".join(lines))
    summary = await run(store, KBlockLines(path))
    assert counts(summary)[0] == 12
    assert len(summary.remarks) == 11
    assert summary.remarks[-1] == "2 more items are imported without such a date."
