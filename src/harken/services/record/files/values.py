"""Conversion of values of other systems: ids that became numbers, and words for no value."""

import math
import re
from decimal import Decimal
from typing import Any
from uuid import UUID

from harken.errors import InvalidInput, Problem
from harken.services.record.files.rows import Unreadable

# Words for no value in pandas, SQL dumps, Python and JavaScript.
NULL_WORDS = frozenset({"nan", "null", "none", "\\n", "<na>", "nat", "n/a", "#n/a", "undefined"})
LONGEST_NULL_WORD = max(map(len, NULL_WORDS))

NUMERIC_IDS = "Ids written as fractions, such as 12345.0, read as 12345"
NO_VALUES = "Words such as NULL or nan, read as no value"

# Above this, different integers are the same float.
MOST_EXACT = 2**53

_WHOLE_FLOAT = re.compile(r"([+-]?[0-9]+)\.0")
_ROUNDED = re.compile(r"[+-]?[0-9](?:\.[0-9]+)?[eE]\+[0-9]{2,3}")
_WHOLE = re.compile(r"\s*([+-]?[0-9]{1,20})(?:\.0*)?\s*", re.ASCII)


def is_null(value: Any) -> bool:
    """Whether a value means no value: None, a word such as NULL, or NaN."""
    if isinstance(value, str):
        return len(value) <= LONGEST_NULL_WORD + 2 and value.strip().lower() in NULL_WORDS
    if isinstance(value, float | Decimal):
        return math.isnan(value)
    return value is None


def check_readable(name: str, value: Any) -> None:
    """Raise InvalidInput for a value that the reader of the file could not convert."""
    if isinstance(value, Unreadable):
        raise InvalidInput(Problem(name, value.reason))


def identifier(name: str, value: Any) -> tuple[Any, bool]:
    """Return a number as the text of an id, and whether it was a float or decimal.

    Other values are returned unchanged. Raises InvalidInput for a number that cannot be an id.
    """
    if isinstance(value, bool):
        raise InvalidInput(Problem(name, f"must be text or a whole number, not {value}"))
    if isinstance(value, int | UUID):
        return str(value), False
    if not isinstance(value, float | Decimal):
        return value, False
    if not math.isfinite(value) or value != int(value):
        raise InvalidInput(Problem(name, f"{value} must be text or a whole number"))
    if isinstance(value, float) and abs(value) >= MOST_EXACT:
        message = f"{value!r} has lost digits as a floating-point number; write ids as text"
        raise InvalidInput(Problem(name, message))
    return str(int(value)), True


def whole_float(name: str, text: str) -> str | None:
    """Return `12345` for `12345.0`, and None for any other text.

    Raises InvalidInput for a number such as 1.23457E+11: many ids become the same.
    """
    if _ROUNDED.fullmatch(text):
        message = f"{text!r} is a number that a program rounded; --as-written keeps it"
        raise InvalidInput(Problem(name, message))
    found = _WHOLE_FLOAT.fullmatch(text)
    return None if found is None else found[1]


def integer(name: str, value: Any) -> Any:
    """Return a value as an integer, also from text or a float; raises InvalidInput."""
    if isinstance(value, str) and (found := _WHOLE.fullmatch(value)):
        return int(found[1])
    if isinstance(value, int) or (
        isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value)
    ):
        return value if isinstance(value, bool) else int(value)
    raise InvalidInput(Problem(name, f"{value!r:.100} must be a whole number"))
