"""The turns of writers of K-Blocks: one after the other, each with a revision of its own.

A turn also touches K-Blocks: every index reads them again, because of what changed elsewhere.
"""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.domain.kblock import EdgeKind, KBlock
from harken.models import KBlockClock
from harken.models.types import table
from harken.services.record import contradictions
from harken.services.record.contradictions import EDGES, KBLOCKS

CLOCK = table(KBlockClock)
MOST_AT_ONCE = 1_000


class WriteTurn(NamedTuple):
    """The transaction of one writer, which holds the clock; its rows get this revision."""

    connection: AsyncConnection
    revision: int
    last_number: int


async def begin_turn(connection: AsyncConnection) -> WriteTurn:
    """Wait for the turn of this transaction, and take it."""
    incremented = await connection.execute(
        update(CLOCK)
        .where(CLOCK.c.id == 1)
        .values(revision=CLOCK.c.revision + 1)
        .returning(CLOCK.c.revision, CLOCK.c.last_number)
    )
    return WriteTurn(connection, *incremented.one())


async def link(turn: WriteTurn, written: list[KBlock], added: set[str]) -> None:
    """Replace the edges of K-Blocks, and touch K-Blocks whose conflicts may have changed."""
    ids = [kblock.id for kblock in written]
    contradicts = EDGES.c.kind == EdgeKind.CONTRADICTS.value
    found = await turn.connection.execute(
        select(EDGES.c.source_id, EDGES.c.target_id).where(EDGES.c.source_id.in_(ids), contradicts)
    )
    before = {tuple(row) for row in found}
    now = {
        (kblock.id, target) for kblock in written for target in kblock.targets(EdgeKind.CONTRADICTS)
    }
    await turn.connection.execute(delete(EDGES).where(EDGES.c.source_id.in_(ids)))
    edges = [
        {"source_id": kblock.id, "target_id": target, "kind": kind.value}
        for kblock in written
        for kind in EdgeKind
        for target in kblock.targets(kind)
    ]
    if edges:
        await turn.connection.execute(insert(EDGES), edges)
    touched = {kblock_id for pair in before ^ now for kblock_id in pair}
    await touch(turn, touched | await neighbours(turn.connection, added))


async def neighbours(connection: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Return the K-Blocks that some contradict, or are contradicted by."""
    if not ids:
        return set()
    found = await connection.execute(contradictions.others(list(ids)))
    return {row.other for row in found}


async def read_again(connection: AsyncConnection, kblock_ids: Collection[str]) -> None:
    """Let every index read K-Blocks again when this transaction is committed."""
    if kblock_ids:
        await touch(await begin_turn(connection), kblock_ids)


async def touch(turn: WriteTurn, ids: Collection[str]) -> None:
    """Let every index read K-Blocks again when the turn ends."""
    wanted = sorted(ids)
    for start in range(0, len(wanted), MOST_AT_ONCE):
        some = KBLOCKS.c.id.in_(wanted[start : start + MOST_AT_ONCE])
        await turn.connection.execute(update(KBLOCKS).where(some).values(revision=turn.revision))
