"""Bounds of partitions: the first eight hexadecimal digits of UUIDs of version 7.

Such a UUID begins with the milliseconds since 1970 (RFC 9562, §5.7); the digits count 65.536 s.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

UNIT = timedelta(milliseconds=1 << 16)
"""How long ids begin with the same eight digits."""
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END = "03000000"
"""The bound of all timed ids, in the year 2074. A random id is below it with a chance of 0.5 %."""
SHARE = 10
"""A partition has this part of the days that are kept. So there are about as many partitions: each
query over the log locks all of them, and looks into the index of each."""


class Range(NamedTuple):
    """Ids from one bound to before another."""

    start: str
    end: str

    @property
    def until(self) -> datetime:
        """The time that no id in this range has reached, if it has a time."""
        return time_of(self.end)


def bound_at(at: datetime) -> str:
    """Return the bound of the unit that a time lies in."""
    return f"{(at - EPOCH) // UNIT:08x}"


def time_of(bound: str) -> datetime:
    """Return the time at which ids begin to have these digits."""
    return EPOCH + int(bound, 16) * UNIT


def width_for(kept: timedelta) -> timedelta:
    """Return how much time a partition should have if so much of the log is kept: whole days."""
    return max(kept // SHARE // DAY, 1) * DAY


def ranges_after(start: str, until: datetime, width: timedelta) -> list[Range]:
    """Return ranges from a bound on that reach a time; each ends within the last unit of a day."""
    found: list[Range] = []
    while time_of(start) < until:
        day = time_of(start) + UNIT + width
        end = bound_at(day.replace(hour=0, minute=0, second=0, microsecond=0))
        found.append(Range(start, end))
        start = end
    return found


def day_after(bound: str) -> datetime:
    """Return the midnight whose unit a bound is: the first one that is not before it."""
    last = time_of(bound) + UNIT - timedelta(microseconds=1)
    return last.replace(hour=0, minute=0, second=0, microsecond=0)
