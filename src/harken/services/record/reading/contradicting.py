"""The contradictions that a reader reported, which they alone can take back."""

import json
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.types import String

from harken.database import Database, Prepared, is_in_list
from harken.domain.feedback import GUEST, FeedbackAction
from harken.models import FeedInteraction
from harken.models.types import table
from harken.services.record.admission.quarantines import counts

LOG = table(FeedInteraction)


class Pair(NamedTuple):
    """Two K-Blocks that contradict each other, in the order of their ids."""

    first: str
    second: str

    @classmethod
    def of(cls, one: str, other: str) -> "Pair":
        """Return the pair of two ids."""
        return cls(min(one, other), max(one, other))


Said = Mapping[Pair, list[str]]
"""The ids of the events by which a reader reported each pair."""


class ContradictionStore:
    """The contradictions that readers of one database reported."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def said(self, user_id: str, kblock_ids: Collection[str]) -> Said:
        """Return the contradictions that a reader reported at some K-Blocks, and that count.

        A report belongs to the K-Block that it was made at, so both of a pair have to be named.
        Raises DatabaseUnavailable.
        """
        if user_id == GUEST or not kblock_ids:
            return {}
        bound = {"user_id": user_id, "ids": self._database.as_list(kblock_ids)}
        found: dict[Pair, list[str]] = {}
        statement = _said(self._database.is_postgresql)
        for event, kblock_id, metadata in await self._database.read(statement, bound):
            if (other := _other(metadata)) is not None:
                found.setdefault(Pair.of(kblock_id, other), []).append(event)
        return found


def _other(metadata: str | None) -> str | None:
    try:
        known = json.loads(metadata or "{}")
    except (ValueError, RecursionError):
        return None
    other = known.get("contradicts") if isinstance(known, dict) else None
    return other if isinstance(other, str) else None


@cache
def _said(is_postgresql: bool) -> Prepared:  # noqa: FBT001 — the key of the cache
    user: Any = bindparam("user_id", type_=String)
    return Prepared(
        select(LOG.c.id, LOG.c.kblock_id, LOG.c.interaction_metadata)
        .where(
            LOG.c.user_id == user,
            is_in_list(LOG.c.kblock_id, "ids", postgresql=is_postgresql),
            LOG.c.action == FeedbackAction.CONTRADICT.value,
            counts(LOG),
        )
        .order_by(LOG.c.id)
    )
