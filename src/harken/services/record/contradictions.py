"""Contradictions between K-Blocks: declared by edges, or reported by readers."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, not_, select, union_all
from sqlalchemy.sql.selectable import Subquery

from harken.domain.kblock import EdgeKind
from harken.models import FeedContradiction, KBlockEdge, KBlockRow
from harken.models.types import table

EDGES = table(KBlockEdge)
KBLOCKS = table(KBlockRow)
REPORTED = table(FeedContradiction)


def pairs() -> Subquery:
    """Return every contradiction in both directions, as columns `id` and `other`."""
    declared = EDGES.c.kind == EdgeKind.CONTRADICTS.value
    return union_all(
        select(EDGES.c.source_id.label("id"), EDGES.c.target_id.label("other")).where(declared),
        select(EDGES.c.target_id, EDGES.c.source_id).where(declared),
        select(REPORTED.c.kblock_id, REPORTED.c.other_id),
        select(REPORTED.c.other_id, REPORTED.c.kblock_id),
    ).subquery("pairs")


def others(ids: Sequence[str]) -> Select[Any]:
    """Select `id` and `other`: the contradictions of these K-Blocks with existing K-Blocks."""
    both = pairs()
    return (
        select(both.c.id, both.c.other)
        .distinct()
        .join(KBLOCKS, KBLOCKS.c.id == both.c.other)
        .where(both.c.id.in_(ids), not_(KBLOCKS.c.deleted))
        .order_by(both.c.id, both.c.other)
    )


def in_conflict() -> ColumnElement[bool]:
    """Tell whether a row of `kblocks` contradicts an existing K-Block."""
    other = KBLOCKS.alias("other")

    def some(table: Any, own: Any, others_id: Any, *more: Any) -> ColumnElement[bool]:
        return exists(
            select(1)
            .select_from(table.join(other, other.c.id == others_id))
            .where(own == KBLOCKS.c.id, not_(other.c.deleted), *more)
            .correlate(KBLOCKS)
        )

    declared = EDGES.c.kind == EdgeKind.CONTRADICTS.value
    return (
        some(EDGES, EDGES.c.source_id, EDGES.c.target_id, declared)
        | some(EDGES, EDGES.c.target_id, EDGES.c.source_id, declared)
        | some(REPORTED, REPORTED.c.kblock_id, REPORTED.c.other_id)
        | some(REPORTED, REPORTED.c.other_id, REPORTED.c.kblock_id)
    )


def all_in_conflict() -> Select[Any]:
    """Select the numbers of all K-Blocks that contradict an existing K-Block."""
    both, other = pairs(), KBLOCKS.alias("other")
    return (
        select(KBLOCKS.c.number)
        .distinct()
        .select_from(
            both.join(KBLOCKS, and_(KBLOCKS.c.id == both.c.id, not_(KBLOCKS.c.deleted))).join(
                other, and_(other.c.id == both.c.other, not_(other.c.deleted))
            )
        )
    )
