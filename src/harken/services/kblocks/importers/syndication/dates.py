"""Parsing of the dates of articles, in the formats that feeds use in practice."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from harken.domain.times import EPOCH, OUTSIDE, in_utc, is_end_in_seconds, is_zero_time

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january", "feb february", "mar march", "apr april", "may", "jun june",
            "jul july", "aug august", "sep sept september", "oct october", "nov november",
            "dec december",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
# Hours ahead of UTC. Ambiguous names (IST: India, Israel, Ireland) are left out.
_ZONES = {
    "": 0.0, "z": 0, "ut": 0, "utc": 0, "gmt": 0, "wet": 0,
    "est": -5, "edt": -4, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
    "akst": -9, "akdt": -8, "hst": -10, "nst": -3.5, "ndt": -2.5, "adt": -3, "brt": -3,
    "west": 1, "cet": 1, "mez": 1, "met": 1, "cest": 2, "mesz": 2, "mest": 2, "eet": 2,
    "eest": 3, "msk": 3, "sast": 2, "wat": 1, "eat": 3, "pkt": 5, "ict": 7, "wib": 7,
    "hkt": 8, "sgt": 8, "awst": 8, "jst": 9, "kst": 9, "acst": 9.5, "acdt": 10.5,
    "aest": 10, "aedt": 11, "nzst": 12, "nzdt": 13,
    # In mail and feeds these are North American zones, according to RFC 822.
    "cst": -6, "ast": -4,
}  # fmt: skip
_LONGEST = 100
_EPOCH = re.compile(r"-?\d{9,16}(?:\.\d{1,9})?")
_TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9})\d*)?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?"
)
_ZONE = r"(?P<zone>(?:[A-Za-z]{1,5}\s*)?[+-]\d{1,2}(?::?\d{2})?|[A-Za-z]{1,5})?(?:\s*\([^)]*\))?"
_YEAR = r"(?P<year>\d{4}|\d{2})(?!\d)"
_SHAPES = [
    re.compile(shape, re.IGNORECASE | re.ASCII)
    for shape in (
        # 2024-01-01T10:00:00+01:00, 2024/1/1 10:00, 2024-01, 2024
        (
            rf"(?P<year>\d{{4}})(?:(?P<sep>[-/.])(?P<month>\d{{1,2}})(?:(?P=sep)(?P<day>\d{{1,2}})"
            rf"(?:(?:\s*T\s*|,?\s+){_TIME}\s*{_ZONE})?)?)?"
        ),
        # 20240101, 20240101T100000Z
        (
            r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?:T?(?P<hour>\d{2})(?P<minute>\d{2})"
            rf"(?P<second>\d{{2}})?\s*{_ZONE})?"
        ),
        # Mon, 01 Jan 2024 10:00:00 GMT, 1-Jan-24
        (
            rf"(?:[a-z]{{2,9}}\.?,?\s*)?(?P<day>\d{{1,2}})(?:\s+|-)(?P<name>[a-z]{{3,9}})\.?,?(?:\s+|-)"
            rf"{_YEAR}(?:,?\s+(?:at\s+)?{_TIME}\s*{_ZONE})?"
        ),
        # Mon Jan  1 10:00:00 GMT 2024
        (
            rf"(?:[a-z]{{3,9}}\.?,?\s+)?(?P<name>[a-z]{{3,9}})\s+(?P<day>\d{{1,2}})\s+{_TIME}\s+"
            rf"(?:{_ZONE}\s+)?(?P<year>\d{{4}})"
        ),
        # Monday, January 1, 2024 10:00 AM
        (
            r"(?:[a-z]{3,9}\.?,?\s+)?(?P<name>[a-z]{3,9})\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+"
            rf"(?P<year>\d{{4}})(?:,?\s+(?:at\s+)?{_TIME}\s*{_ZONE})?"
        ),
    )
]
_MILLISECONDS_FROM = 1e11
_MICROSECONDS_FROM = 1e14
_DAY = timedelta(days=1)
_MIDNIGHT, _NOON = 24, 12
_LEAP_SECOND = 60
_TWO_DIGITS_1900 = 50


class ParsedDate(NamedTuple):
    """A time in UTC, or None, and a remark about it."""

    at: datetime | None
    remark: str | None = None


def read_date(text: str) -> ParsedDate:
    """Parse a date or time; without a zone it is UTC. An unreadable one is None, with a remark.

    >>> read_date("Mon, 01 Jan 2024 10:00:00 CET").at
    datetime.datetime(2024, 1, 1, 9, 0, tzinfo=datetime.timezone.utc)
    """
    given = " ".join(text[: _LONGEST * 2].split())[:_LONGEST]
    try:
        at, remark = _epoch(given) if _EPOCH.fullmatch(given) else _calendar(given)
        # Checked before any conversion: a zero time may be at the limits of `datetime`.
        if is_zero_time(at):
            return ParsedDate(None, f"{given!r} is a zero time, which means no date")
        return ParsedDate(in_utc(at), remark)
    except (ValueError, OverflowError) as error:
        return ParsedDate(None, f"{given!r} {_why(error)}")


def _why(error: Exception) -> str:
    text = str(error)
    return text if text.startswith(("must", "cannot")) else f"cannot be read as a time: {text}"


def _epoch(text: str) -> tuple[datetime, None]:
    seconds = float(text)
    if is_end_in_seconds(seconds):
        raise ValueError(OUTSIDE)
    if abs(seconds) >= _MICROSECONDS_FROM:
        seconds /= 1e6
    elif abs(seconds) >= _MILLISECONDS_FROM:
        seconds /= 1e3
    return EPOCH + timedelta(seconds=seconds), None


def _calendar(text: str) -> tuple[datetime, str | None]:
    for shape in _SHAPES:
        if match := shape.fullmatch(text):
            break
    else:
        raise ValueError("cannot be read as a time; a correct one is 2024-01-01T10:00:00Z")
    parts = match.groupdict()
    zone, remark = _zone(parts.get("zone") or "", text)
    day = datetime(_year(parts["year"]), _month(parts), int(parts.get("day") or 1), tzinfo=zone)
    at = day + _time_of_day(parts) if parts.get("hour") else day
    return at, remark


def _year(digits: str) -> int:
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + (2000 if year < _TWO_DIGITS_1900 else 1900)


def _month(parts: dict[str, str | None]) -> int:
    if name := parts.get("name"):
        if name.lower() not in _MONTHS:
            raise ValueError(f"cannot be read as a time: {name} is not an English month")
        return _MONTHS[name.lower()]
    return int(parts.get("month") or 1)


def _time_of_day(parts: dict[str, str | None]) -> timedelta:
    hour, minute = int(parts["hour"] or 0), int(parts["minute"] or 0)
    second = int(parts.get("second") or 0)
    half = (parts.get("half") or "").lower()
    if half and not 1 <= hour <= _NOON:
        raise ValueError("cannot be read as a time: its hour is not 1 to 12")
    if half:
        hour = hour % _NOON + (_NOON if half[0] == "p" else 0)
    if hour == _MIDNIGHT and (minute or second):
        raise ValueError("cannot be read as a time: after 24:00")
    if hour > _MIDNIGHT or minute >= _LEAP_SECOND or second > _LEAP_SECOND:
        raise ValueError("cannot be read as a time: its hour, minute or second is too large")
    fraction = int((parts.get("fraction") or "0")[:6].ljust(6, "0"))
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=fraction)


def _zone(given: str, text: str) -> tuple[timezone, str | None]:
    name, sign, digits = _zone_parts(given)
    if not sign:
        if name in _ZONES:
            return timezone(timedelta(hours=_ZONES[name])), None
        return UTC, f"{text!r}: the zone {given} is unknown or ambiguous; read as UTC"
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    offset = timedelta(hours=hours, minutes=minutes)
    if offset >= _DAY:
        raise ValueError(f"cannot be read as a time: {given} is no offset from UTC")
    return timezone(-offset if sign == "-" else offset), None


def _zone_parts(given: str) -> tuple[str, str, str]:
    """Split `GMT+01:00` into `gmt`, `+` and `0100`; without an offset the last two are empty."""
    for sign in "+-":
        name, found, digits = given.partition(sign)
        if found:
            plain = digits.replace(":", "")
            if len(plain) in {1, 3}:
                plain = f"0{plain}"
            return name.strip().lower(), sign, plain
    return given.strip().lower(), "", ""
