"""Parsing of times in the notations of logs.

A number is a time since 1970 in seconds, milliseconds, microseconds or nanoseconds, depending on
its size. A time without a zone is in the given zone. Each assumption is noted.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

from harken.domain.times import OUTSIDE, from_micros, is_end_in_seconds
from harken.errors import InvalidInput, Problem

Note = Callable[[str], None]

DATES_ALONE = "Dates without a time of day, read as midnight"
COMPACT = "Times written as digits, such as 20240131, read as a date"
AMBIGUOUS = "Local times that the clock showed twice, read as the first of both"
SKIPPED = "Local times that the clock skipped, read as if it had not been set forward"

# Numbers below each limit are in its unit. The first two limits are the same as in REST.
_UNITS = (
    (2 * 10**10, 1_000_000, "seconds"),
    (2 * 10**13, 1_000, "milliseconds"),
    (2 * 10**16, 1, "microseconds"),
    (2 * 10**19, Decimal("0.001"), "nanoseconds"),
)
_COMPACT_YEARS = range(1970, 2101)
_COMPACT_FORMATS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_LONGEST = 64

_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{0,20})?", re.ASCII)
_ZONED = re.compile(r"(?P<time>.*[0-9])\s*(?P<zone>UTC|GMT|[Zz])", re.ASCII)
_OFFSET = re.compile(r"(?P<time>.*[0-9])\s+(?P<zone>[+-][0-9]{2}:?[0-9]{2})", re.ASCII)
_ABBREVIATED = re.compile(r"(?P<time>.*[0-9])\s+(?P<zone>[A-Z]{2,5})", re.ASCII)
_MAIL = re.compile(
    r"([A-Z][a-z]{2}, )?[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{5,8} ([+-][0-9]{4}|GMT|UTC?)",
    re.ASCII,
)
_OTHER_FORMATS = ("%a %b %d %H:%M:%S %z %Y", "%d/%b/%Y:%H:%M:%S %z")


def _counted(unit: str) -> str:
    return f"Times given as numbers, read as {unit} since 1970"


def event_time(name: str, value: Any, zone: tzinfo | None, note: Note) -> datetime:
    """Parse a time, and call `note` with each assumption; raises InvalidInput."""
    found = _read(name, value, zone, note)
    return found if found.tzinfo is not None else _local(name, found, zone, note)


def _read(name: str, value: Any, zone: tzinfo | None, note: Note) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        note(DATES_ALONE)
        return datetime.combine(value, time())
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _number(name, value, note)
    if isinstance(value, str) and len(value) <= _LONGEST:
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return _number(name, Decimal(text), note)
        found = _iso(text, note) or _with_zone(name, text, zone, note) or _other(text)
        if found is not None:
            return found
    raise InvalidInput(Problem(name, f"{value!r:.80} must be a time such as 2025-12-25T10:30:00Z"))


def _iso(text: str, note: Note) -> datetime | None:
    # ISO 8601 without dashes is not accepted, since many numbers would be valid dates.
    if text[4:5] != "-":
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if len(text) <= len("2024-01-31"):
        note(DATES_ALONE)
    return found


def _with_zone(name: str, text: str, zone: tzinfo | None, note: Note) -> datetime | None:
    if found := _ZONED.fullmatch(text):
        at = _iso(found["time"], note)
        return at and at.replace(tzinfo=at.tzinfo or UTC)
    if found := _OFFSET.fullmatch(text):
        at = _iso(found["time"], note)
        return at and _iso(f"{at.isoformat()}{found['zone']}", note)
    if (found := _ABBREVIATED.fullmatch(text)) and (at := _iso(found["time"], note)):
        for fold in (0, 1):
            candidate = at.replace(tzinfo=zone, fold=fold)
            if candidate.tzname() == found["zone"]:
                return candidate.astimezone(UTC)
        message = (
            f"{found['zone']!r} is unknown, or the name of several zones; write the offset, such "
            "as +02:00, or give the --timezone that has this name"
        )
        raise InvalidInput(Problem(name, message))
    return None


def _other(text: str) -> datetime | None:
    """Parse the formats of mail, web servers and some APIs; all of these have offsets."""
    try:
        if _MAIL.fullmatch(text):
            return parsedate_to_datetime(text)
    except ValueError:
        return None
    for form in _OTHER_FORMATS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 — the formats have %z
        except ValueError:
            continue
    return None


def _number(name: str, value: float | Decimal, note: Note) -> datetime:
    number = Decimal(value)
    if not number.is_finite():
        raise InvalidInput(Problem(name, f"{value} must be a time"))
    if is_end_in_seconds(number):
        raise InvalidInput(Problem(name, OUTSIDE))
    if number == int(number) and (found := _compact(str(int(number)))):
        note(COMPACT)
        return found
    for limit, microseconds, unit in _UNITS:
        if abs(number) < limit:
            note(_counted(unit))
            try:
                return from_micros(int(number * microseconds))
            except OverflowError:
                break
    message = "must be a time; as a number, in seconds to nanoseconds since 1970"
    raise InvalidInput(Problem(name, message))


def _compact(digits: str) -> datetime | None:
    """Parse digits such as 20240131 as a date from 1970 to 2100; None if they are not one.

    As seconds since 1970, such numbers would be times in 1970 or far in the future.
    """
    form = _COMPACT_FORMATS.get(len(digits))
    if form is None:
        return None
    try:
        found = datetime.strptime(digits, form)  # noqa: DTZ007 — its zone is that of the file
    except ValueError:
        return None
    return found if found.year in _COMPACT_YEARS else None


def _local(name: str, at: datetime, zone: tzinfo | None, note: Note) -> datetime:
    if zone is None:
        raise InvalidInput(Problem(name, "has no offset from UTC; give --timezone, such as UTC"))
    first = at.replace(tzinfo=zone, fold=0)
    if zone is UTC:
        return first
    before, after = first.utcoffset(), first.replace(fold=1).utcoffset()
    if before is not None and after is not None and before != after:
        note(AMBIGUOUS if before > after else SKIPPED)
    return first
