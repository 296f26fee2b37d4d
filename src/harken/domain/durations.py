"""Durations as text: 30min, 12h, 7d, 4w."""

import re
from datetime import timedelta

from harken.errors import InvalidInput, Problem, quoted

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "min": timedelta(minutes=1),
}
_WRITTEN = re.compile(r"([0-9]{1,7})(min|h|d|w)", re.ASCII)


def parse_duration(name: str, text: str) -> timedelta:
    """Parse a duration; raises InvalidInput for the field `name`.

    >>> parse_duration("half_life", "36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise InvalidInput(
            Problem(name, f"{quoted(text)} is not a duration such as 30min, 12h, 7d, 4w")
        )
    return int(found[1]) * _UNITS[found[2]]


def write_duration(span: timedelta) -> str:
    """Format a duration in days, hours or minutes: the greatest unit that divides it.

    >>> write_duration(timedelta(days=7)), write_duration(timedelta(hours=36))
    ('7d', '36h')
    """
    for name, unit in _UNITS.items():
        if name != "w" and not span % unit:
            return f"{span // unit}{name}"
    return f"{span / _UNITS['min']:g}min"
