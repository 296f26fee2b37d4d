"""The tables with rows of readers, each declared once.

Whatever has to know all of them derives its list from `READER_TABLES`: the export of a reader, what
is counted and removed by an erasure, the tables that an erasure waits for, and those that are
compacted after it. A test compares it with the models: a new table with a column `user_id` fails
there until it is declared here.
"""

from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple

from sqlalchemy import MetaData, Table

from harken.services.record.baseline.definitions import (
    BASELINE_CONTRADICTIONS,
    BASELINE_READERS,
)
from harken.services.record.comments.recording import COMMENTS
from harken.services.record.readers import USERS
from harken.services.record.reading.store import READS
from harken.services.record.slates import EXPOSURES, ORDERS, SAMPLES, SLATES
from harken.services.record.statistics import READERS
from harken.services.record.transaction import DISMISSALS, LOG, SAVES


class Removal(Enum):
    """How an erasure removes the rows of a reader."""

    WITH_LOG = auto()
    """With the events, by transactions that correct the statistics."""
    WITH_ORDERS = auto()
    """Some at a time, each with the orders that belong to it."""
    IN_PIECES = auto()
    """Some at a time, by the primary key: of a reader and a K-Block there may be many rows."""
    AT_ONCE = auto()


class ReaderTable(NamedTuple):
    """A table with a column `user_id`.

    name: that of the rows in an export, and in the counts of a receipt. order: the columns by which
    an export lists them.
    """

    name: str
    table: Table
    removal: Removal
    order: tuple[str, ...] = ()


READER_TABLES = (
    ReaderTable("events", LOG, Removal.WITH_LOG, ("created_at", "id")),
    ReaderTable("statistics", READERS, Removal.WITH_LOG, ("kblock_id",)),
    ReaderTable("baseline", BASELINE_READERS, Removal.WITH_LOG, ("kblock_id",)),
    ReaderTable(
        "baseline_contradictions", BASELINE_CONTRADICTIONS, Removal.WITH_LOG,
        ("kblock_id", "other_id"),
    ),
    ReaderTable("slates", SLATES, Removal.WITH_ORDERS, ("created_at", "request_id")),
    ReaderTable("dismissals", DISMISSALS, Removal.IN_PIECES, ("kblock_id",)),
    ReaderTable("reads", READS, Removal.IN_PIECES, ("read_at", "number")),
    ReaderTable("saves", SAVES, Removal.IN_PIECES, ("saved_at", "kblock_id")),
    ReaderTable("comments", COMMENTS, Removal.IN_PIECES, ("created_at", "comment_id")),
    ReaderTable(
        "exposures", EXPOSURES, Removal.AT_ONCE,
        ("created_at", "experiment_id", "experiment_version"),
    ),
    ReaderTable("preferences", USERS, Removal.AT_ONCE),
)  # fmt: skip
"""In the order in which they are counted, listed and removed."""
ORDERS_OF_SLATES = (ORDERS, SAMPLES)
"""The tables with the orders that slates were taken from: a row is of a reader by its slate."""


def tables(*removals: Removal) -> dict[str, Table]:
    """Return the tables whose rows are removed in one of these ways, by name; without any, all."""
    return {
        each.name: each.table for each in READER_TABLES if each.removal in (removals or Removal)
    }


def written_for_readers() -> tuple[Table, ...]:
    """Return all tables that have rows because of one reader."""
    return (*tables().values(), *ORDERS_OF_SLATES)


def undeclared(models: MetaData, declared: Iterable[ReaderTable] = READER_TABLES) -> list[str]:
    """Return the names of the tables with a column `user_id` that are not declared here."""
    known = {each.table.name for each in declared}
    with_readers = [each.name for each in models.sorted_tables if "user_id" in each.c]
    return [name for name in with_readers if name not in known]
