"""Parsing of dates and times in the notations of people and their tools, without guessing.

A date that could mean two days, such as `01/02/2023`, is refused.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import NamedTuple

from harken.domain.times import EPOCH, in_utc, is_zero_time

_RIGHT = "must be a time such as 2025-12-25 or 2025-12-25T10:30:00Z"
_LONGEST = 100  # no date is longer; this bounds the time that patterns take
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul",
            "august aug", "september sept sep", "october oct", "november nov", "december dec",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_MONTH = rf"(?P<name>{'|'.join(_MONTHS)})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4})"
_WEEKDAY = r"(?:(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?\.?,?\s+)?"
# The separator between a date and a time of day, and the time of day with its offset.
_TIME = (
    r"(?:(?:\s*,\s*|\s+|t|\s+at\s+|,?\s*-\s+)(?P<hour>\d{1,2})"
    r"(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?|(?=\s*[ap]\.?m))"
    r"\s*(?P<half>[ap]\.?m\.?)?"
    r"\s*(?P<zone>z|(?:utc|gmt)?[+-]\d{2}:?\d{2}|utc|gmt)?(?:\s*\([\w ]{1,40}\))?)?"
)
_SPELLINGS = tuple(
    re.compile(rf"{_WEEKDAY}{day}{_TIME}", re.IGNORECASE | re.ASCII)
    for day in (
        rf"{_YEAR}(?P<between>[-/._])(?P<month>\d{{1,2}})(?P=between)(?P<day>\d{{1,2}})",
        rf"{_MONTH}\s+{_DAY},?\s+{_YEAR}",
        rf"{_DAY}(?:\s+of)?[\s-]+{_MONTH},?[\s-]+{_YEAR}",
        rf"{_YEAR}[\s-]+{_MONTH}[\s-]+{_DAY}",
        r"(?P<one>\d{1,2})(?P<between>[-/.])(?P<two>\d{1,2})(?P=between)(?P<year>\d{4})",
    )
)
_DIGITS = re.compile(r"(\d{4})(\d\d)(\d\d)(?:[ T-]?(\d\d)(\d\d)(\d\d)?)?", re.ASCII)
_ISO = re.compile(r"\d{4}-?(?:\d\d|W\d\d)", re.ASCII)
_SPACED_OFFSET = re.compile(r"\s+(?=(?:[+-]\d\d:?\d\d|Z)$)")
_EPOCH = re.compile(r"(\d{9,10})(?:\.\d*)?|(\d{13})|(\d{16})|0+(?:\.0*)?", re.ASCII)
_PER_SECOND = (1, 1_000, 1_000_000)
_WIKILINK = re.compile(r"\[\[([^\[\]|#]++)[^\[\]]*+\]\]")  # possessive: in linear time
_TEMPLATE = re.compile(r"\{\{|\{%|<%|\$\{")
# A time of day is read only directly after the digits of the date, as in ids of notes: in
# `2019-03-04-2020-in-review`, 2020 is not one.
_IN_NAME = re.compile(
    r"(?:(\d{4})(?P<between>[-_.])(\d\d)(?P=between)(\d\d)|(\d{8}(?:\d{4}(?:\d\d)?)?))(?!\d)",
    re.ASCII,
)
_YEARS_OF_NAMES = range(1900, 2101)


class NamedDate(NamedTuple):
    """The date that a file's name begins with, and the rest of the name."""

    at: datetime
    rest: str


def is_template(text: str) -> bool:
    """Tell whether a value is a template that no tool has filled in, such as `{{date}}`."""
    return _TEMPLATE.search(text) is not None


def read_date(value: object) -> datetime:
    """Parse a time or a date, and return it in UTC; a value without an offset is UTC.

    Accepts text in many notations, seconds, milliseconds and microseconds since 1970, links to
    daily notes, `date` and `datetime` objects, and a list, of which the first item is used. Raises
    ValueError, with what would be right, for a value that cannot be read, that could mean two days,
    that is outside the years 1000 to 2999, or that is a zero time, which means no date.
    """
    for _ in range(4):
        if isinstance(value, list) and value:
            value = value[0]
    if isinstance(value, date):
        at = _plain(value)
    else:
        is_written = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        at = _of_text(str(value).strip() if is_written else "")
    if is_zero_time(at):
        raise ValueError("is a zero time, which means no date: leave it out, or write the date")
    return in_utc(at.replace(tzinfo=UTC) if at.tzinfo is None else at)


def date_in_name(stem: str) -> NamedDate | None:
    """Return the date that a file's name begins with, such as `2019-03-04-title`."""
    found = _IN_NAME.match(stem)
    if found is None or int(stem[:4]) not in _YEARS_OF_NAMES:
        return None
    try:
        at = read_date(re.sub(r"[-_.]", "", found[0]))
    except ValueError:
        return None
    return NamedDate(at, stem[found.end() :].lstrip("-_. "))


def _plain(at: date) -> datetime:
    return at if isinstance(at, datetime) else datetime(at.year, at.month, at.day, tzinfo=UTC)


def _of_text(text: str) -> datetime:
    if is_template(text):
        raise ValueError("is a template that was not filled in")
    if link := _WIKILINK.fullmatch(text):
        # The link may contain the folder of the daily note.
        text = link[1].strip().rpartition("/")[2].removesuffix(".md")
    if len(text) > _LONGEST:
        raise ValueError(_RIGHT)
    if epoch := _EPOCH.fullmatch(text):
        return _of_epoch(epoch)
    if digits := _DIGITS.fullmatch(text):
        year, month, day, hour, minute, second = (int(each or 0) for each in digits.groups())
        return _checked(year, month, day, hour, minute, second)
    return _iso(text) or _spelled(text)


def _iso(text: str) -> datetime | None:
    try:
        is_iso = _ISO.match(text) and not text.isdigit()
        return datetime.fromisoformat(_SPACED_OFFSET.sub("", text)) if is_iso else None
    except ValueError:
        return None  # another notation may look similar to ISO 8601


def _spelled(text: str) -> datetime:
    found = next((found for each in _SPELLINGS if (found := each.fullmatch(text))), None)
    if found is None:
        raise ValueError(_RIGHT)
    return _of_spelling(found.groupdict())


def _of_epoch(found: re.Match[str]) -> datetime:
    for digits, per_second in zip(found.groups(), _PER_SECOND, strict=True):
        if digits is not None:
            since = timedelta(microseconds=int(digits) * 1_000_000 // per_second)
            return EPOCH + since
    return EPOCH


def _of_spelling(found: dict[str, str | None]) -> datetime:
    if found.get("one"):
        month, day = _month_and_day(int(found["one"] or 0), int(found["two"] or 0))
    else:
        name = found.get("name")
        month = _MONTHS[name.lower()] if name else int(found["month"] or 0)
        day = int(found["day"] or 0)
    fraction = int((found["fraction"] or "0")[:6].ljust(6, "0"))
    at = _checked(
        int(found["year"] or 0), month, day, _hour(found["hour"], found["half"]),
        int(found["minute"] or 0), int(found["second"] or 0), fraction,
    )  # fmt: skip
    return at.replace(tzinfo=_zone(found["zone"]))


def _month_and_day(one: int, two: int) -> tuple[int, int]:
    if one != two and one <= 12 and two <= 12:
        raise ValueError("could be two days; write it as year-month-day, such as 2025-12-25")
    return (two, one) if one > 12 else (one, two)


def _hour(hour: str | None, half: str | None) -> int:
    if half is None:
        return int(hour or 0)
    if not 1 <= int(hour or 0) <= 12:
        raise ValueError(_RIGHT)
    return int(hour or 0) % 12 + (12 if half[0] in "pP" else 0)


def _zone(zone: str | None) -> timezone:
    digits = re.sub(r"[^+\-\d]", "", zone or "")
    if not digits:
        return UTC
    hours, minutes = int(digits[1:3]), int(digits[3:5])
    if hours > 23 or minutes > 59:
        raise ValueError(_RIGHT)
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if digits[0] == "-" else offset)


def _checked(
    year: int, month: int, day: int, hour: int, minute: int, second: int, fraction: int = 0
) -> datetime:
    try:
        return datetime(year, month, day, hour, minute, second, fraction, tzinfo=UTC)
    except ValueError:
        raise ValueError("is not an existing day and time") from None
