"""The shards of the activity tables, one for each writer.

Writers with the same shard wait for each other's commits. A process that has a slot writes to
shards of its own; without one it draws them, and with so many they rarely meet those of others.
"""

import random

SHARDS = 64
WRITERS = 2
"""Concurrent transactions of a process on PostgreSQL: the second one keeps the database busy while
the result of the first one is processed. SQLite has one writer."""
SLOTS = SHARDS // WRITERS


def drawn(writers: int) -> list[int]:
    """Return different shards for the writers of a process that has no slot."""
    return random.sample(range(SHARDS), writers)


def of_slot(slot: int, writers: int) -> list[int]:
    """Return the shards of a slot, from 0 to `SLOTS` - 1; no other slot has them.

    >>> of_slot(0, 2), of_slot(31, 2)
    ([0, 1], [62, 63])
    """
    return [slot * WRITERS + writer for writer in range(writers)]
