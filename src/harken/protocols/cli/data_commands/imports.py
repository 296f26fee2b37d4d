"""`harken import`: the group, and the commands that import K-Blocks."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harken.errors import InvalidInput, Problem
from harken.protocols.cli.running import Json, console, messages, print_json, with_kblocks
from harken.services.kblocks.importers.jsonl import KBlockLines
from harken.services.kblocks.importers.markdown import DRAFTS, Vault
from harken.services.kblocks.importers.rss import feeds
from harken.services.kblocks.importers.run import KBlockImport, Source, Summary
from harken.services.kblocks.importers.syndication.fetching import Fetcher
from harken.services.kblocks.store import KBlockStore

MOST_SHOWN = 20
MOST_REMARKS = 100
INTERRUPTED = 130

imports = typer.Typer(no_args_is_help=True, help="Import K-Blocks and events from other systems.")


def install(app: typer.Typer) -> None:
    """Add the group `import`."""
    app.add_typer(imports, name="import")


DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and compare, but write nothing.")]
Prune = Annotated[
    bool, typer.Option("--prune", help="Delete K-Blocks that are no longer in the source.")
]
IfEmpty = Annotated[
    bool, typer.Option("--if-empty", help="Import only if the database has no K-Blocks yet.")
]


@imports.command("markdown")
def import_markdown(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR", help="Folders of notes.")],
    vault: Annotated[
        str | None, typer.Option(help="The name of the vault; default: that of its folder.")
    ] = None,
    created_from: Annotated[
        Path | None,
        typer.Option(help="A file with the times at which notes were written: time, tab, path."),
    ] = None,
    drafts: Annotated[
        bool, typer.Option("--drafts", help="Import drafts, too, with the tag `draft`.")
    ] = False,
    folders_as_tags: Annotated[
        bool, typer.Option("--folders-as-tags", help="Make the folders of a note its tags.")
    ] = False,
    dry_run: DryRun = False,
    prune: Prune = False,
    if_empty: IfEmpty = False,
    as_json: Json = False,
) -> None:
    """Import folders of Markdown notes. A repeated import updates changed notes.

    Each folder is a vault. Exit code 1 if notes failed; all others are imported.
    """
    if len(folders) > 1 and (vault is not None or created_from is not None):
        raise typer.BadParameter("--vault and --created-from need a single folder")
    vaults = [
        Vault(folder, vault, created_from, drafts=drafts, folders_as_tags=folders_as_tags)
        for folder in folders
    ]
    if len({each.name for each in vaults}) < len(vaults):
        raise InvalidInput(
            Problem("folders", "must have distinct names; import one at a time, with --vault")
        )
    _run(vaults, dry_run=dry_run, prune=prune, if_empty=if_empty, as_json=as_json)


@imports.command("rss")
def import_rss(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH|URL",
            help="A feed (RSS, Atom or JSON Feed), a folder of them, or an OPML file.",
        ),
    ],
    allow_private: Annotated[
        bool,
        typer.Option(
            "--allow-private", help="Allow documents to refer to addresses of private networks."
        ),
    ] = False,
    dry_run: DryRun = False,
    if_empty: IfEmpty = False,
    as_json: Json = False,
) -> None:
    """Import the articles of feeds. Articles that are no longer in a feed are kept.

    Feeds that an OPML file names by URL are fetched. Exit code 1 if an article or a feed failed;
    all others are imported.
    """
    found = feeds(path, Fetcher(allow_private=allow_private))
    _run(found, dry_run=dry_run, prune=False, if_empty=if_empty, as_json=as_json)


@imports.command("jsonl")
def import_jsonl(
    file: Annotated[Path, typer.Argument(help="A file with one K-Block per line; may be gzipped.")],
    dry_run: DryRun = False,
    prune: Prune = False,
    if_empty: IfEmpty = False,
    as_json: Json = False,
) -> None:
    """Import K-Blocks as JSON lines, with the same fields as REST.

    Exit code 1 if lines failed; all others are imported.
    """
    _run([KBlockLines(file)], dry_run=dry_run, prune=prune, if_empty=if_empty, as_json=as_json)


def _run(
    sources: Iterable[Source], *, dry_run: bool, prune: bool, if_empty: bool, as_json: bool
) -> None:
    async def work(store: KBlockStore) -> Summary | None:
        if if_empty and await store.count():
            return None
        return await _import(store, sources, dry_run=dry_run, prune=prune)

    summary = with_kblocks(work)
    if summary is None:
        messages.print("The database already has K-Blocks: nothing was imported.")
        summary = Summary()
    if as_json:
        print_json({"dry_run": dry_run, **summary.__dict__})
    else:
        _print(summary, dry_run=dry_run)
    if summary.interrupted:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(1 if summary.failed else 0)


async def _import(
    store: KBlockStore, sources: Iterable[Source], *, dry_run: bool, prune: bool
) -> Summary:
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=messages, disable=not messages.is_terminal,
    )  # fmt: skip
    task = bar.add_task("", total=None)
    run = KBlockImport(
        store,
        dry_run=dry_run,
        prune=prune,
        progress=lambda done, total: bar.update(task, completed=done, total=total),
    )
    finished = False
    with bar:
        try:
            each = iter(sources)
            # In a thread, because an importer may fetch a list to find its next source.
            while (source := await asyncio.to_thread(next, each, None)) is not None:
                bar.update(task, description=escape(source.name), completed=0, total=None)
                await run.run(source)
                if run.summary.interrupted:
                    break
            finished = True
        except asyncio.CancelledError:
            run.summary.interrupted = finished = True
        finally:
            bar.stop()
            if not finished:
                messages.print(f"Before the error: {_counts(run.summary)}.", highlight=False)
    return run.summary


def _counts(summary: Summary) -> str:
    names = ("added", "updated", "unchanged", "vanished", "failed")
    counts = [f"{getattr(summary, name)} {name}" for name in names]
    if summary.skipped:
        counts.append(f"{sum(summary.skipped.values())} skipped")
    return ", ".join(counts)


def _by_kind(counts: dict[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in counts.items())


def _print_remarks(summary: Summary) -> None:
    for where, reason in summary.field_remarks[:MOST_SHOWN]:
        messages.print(f"[yellow]{escape(where)}:[/] {escape(reason)}", highlight=False)
    total = sum(summary.remarked.values())
    if total > MOST_SHOWN:
        more = f"… and {total - MOST_SHOWN} more remarks; by field: {_by_kind(summary.remarked)}"
        messages.print(escape(more), highlight=False)
    for remark in summary.remarks[:MOST_REMARKS]:
        messages.print(escape(remark), highlight=False)
    if len(summary.remarks) > MOST_REMARKS:
        unprinted = len(summary.remarks) - MOST_REMARKS
        messages.print(f"… and {unprinted} more remarks; --json prints all", highlight=False)
    if summary.skipped:
        messages.print(f"Skipped, by kind: {_by_kind(summary.skipped)}.", highlight=False)
    if DRAFTS in summary.skipped:
        messages.print("--drafts imports drafts, too.", highlight=False)


def _print(summary: Summary, *, dry_run: bool) -> None:
    _print_failures(summary)
    _print_remarks(summary)
    if summary.deleted:
        messages.print(f"{summary.deleted} vanished K-Blocks were deleted.", highlight=False)
    elif summary.vanished:
        messages.print("Vanished K-Blocks are kept; --prune deletes them.", highlight=False)
    if dry_run:
        messages.print("A dry run: nothing was written.")
    console.print(f"{_counts(summary)}.")
    if summary.interrupted:
        console.print("Interrupted. The same command imports the rest.")


def _print_failures(summary: Summary) -> None:
    for where, reason in summary.failures[:MOST_SHOWN]:
        messages.print(f"[red]{escape(where)}:[/] {escape(reason)}", highlight=False)
    if summary.failed > MOST_SHOWN:
        messages.print(f"… and {summary.failed - MOST_SHOWN} more failures", highlight=False)
