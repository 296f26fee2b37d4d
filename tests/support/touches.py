"""Synthetic logs of touches, determined by a seed."""

import random

from harken.services.learning.impressions import Event
from harken.services.readers.history import Touch

DAY = 86_400_000_000
START = 1_700_000_000_000_000
ACTIONS = ("view", "view", "view", "view", "engage", "engage", "dismiss", "contradict")


def touch(user: str, kblock: str, at: int = 0, action: str = "view", **more) -> Touch:
    """Make a touch at a time after the start (microseconds)."""
    return Touch(
        user, kblock, action, more.get("kind"), more.get("dwell"), START + at,
    )  # fmt: skip


def author_of(kblock_id: str) -> str:
    """Return the author of a K-Block of `events`, one of five."""
    return f"author{int(kblock_id[1:]) % 5}"


def tag_of(kblock_id: str) -> str:
    """Return the tag of a K-Block of `events`, one of three."""
    return f"tag{int(kblock_id[1:]) % 3}"


def events(seed: int = 0, count: int = 1_500, days: int = 70) -> list[Event]:
    """Make a log: K-Blocks appear continuously, readers prefer new ones; some times are equal.

    Times are whole seconds, in order.
    """
    chance = random.Random(seed)
    times = sorted(chance.randrange(days * 86_400) for _ in range(count))
    times = [at - at % chance.choice([1, 1, 600]) for at in times]
    log = []
    for n, at in enumerate(sorted(times)):
        newest = n // 8
        kblock = max(0, newest - int(chance.expovariate(1 / 25)))
        user = chance.choice(["guest", *(f"u{i}" for i in range(12))])
        log.append(
            Event(touch(user, f"k{kblock}", at * 1_000_000, chance.choice(ACTIONS), kind="like"))
        )
    return log
