"""What a note says about itself before it begins: YAML between two lines of dashes."""

import math
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import yaml

from harken.domain.kblock import MAX_EDGES, MAX_LABELS
from harken.errors import InvalidInput, Problem
from harken.services.kblocks.times import parse_time

MAX_BYTES = 64 * 1024
MAX_DEPTH = 20
TIME_KEYS = ("created", "created_at", "date", "firstSeen")

# This loader makes text, lists and dictionaries and nothing else: no objects, and no surprises
# such as a tag `no` that is false or a title `1.10` that is 1.1.
_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_EMPTY = ("", "~", "null")
_BEGINNING = re.compile(r"---[ \t]*\r?\n")
_END = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
_WHOLE = re.compile(r"[+-]?\d{1,9}")


class FrontMatter(NamedTuple):
    """What was said, as fields of a K-Block, and what only the whole vault can make sense of."""

    fields: dict[str, Any]
    contradicts: list[str]
    created: datetime | None


def split(text: str) -> tuple[str, str]:
    """Take a note apart into its front matter, maybe empty, and what follows."""
    beginning = _BEGINNING.match(text)
    end = _END.search(text, beginning.end()) if beginning else None
    if beginning is None or end is None:
        return "", text
    return text[beginning.end() : end.start()], text[end.end() :]


def parse(source: str) -> FrontMatter:
    """Read front matter; keys that mean nothing here are ignored. Raises InvalidInput."""
    given = {
        key: value
        for key, value in _load(source).items()
        if not (isinstance(value, str) and value.strip() in _EMPTY)
    }
    fields: dict[str, Any] = {
        key: _text(given, key) for key in ("id", "title", "author") if key in given
    }
    fields |= {key: _labels(given, key) for key in ("tags", "principles") if key in given}
    if "layer" in given:
        layer = _text(given, "layer")
        # What is no number is left to the model, which says so.
        fields["layer"] = int(layer) if _WHOLE.fullmatch(layer) else layer
    if (loss := _loss(given)) is not None:
        fields["galois_loss"] = loss
    return FrontMatter(fields, _contradicts(given), _created(given))


def _load(source: str) -> dict[Any, Any]:
    if len(source.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _wrong("front matter", f"takes more than {MAX_BYTES} bytes; at most these are read")
    try:
        _check_depth(source)
        loaded = yaml.load(source, Loader=_Loader)  # noqa: S506 — it makes only text and lists
    except (yaml.YAMLError, RecursionError) as error:
        raise _wrong("front matter", _explain(error)) from None
    if isinstance(loaded, dict):
        return loaded
    if loaded is None or loaded == "":
        return {}
    raise _wrong(
        "front matter",
        "must be lines such as `title: A note`; where the dashes are meant as a rule, begin the "
        "note with an empty line",
    )


def _check_depth(source: str) -> None:
    """Refuse deep nesting beforehand: the loader calls itself, and would end the program."""
    depth = 0
    for event in yaml.parse(source, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _wrong("front matter", f"nests deeper than {MAX_DEPTH} levels")


def _explain(error: Exception) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "too deep"
    mark = getattr(error, "problem_mark", None)
    line = f" in line {mark.line + 2}" if mark else ""  # one for the dashes, one as they count
    return (
        f"is not YAML: {problem}{line}; write lines such as `title: A note`, and put quotes around "
        "a value that has a colon or brackets"
    )


def _text(given: dict[Any, Any], key: str) -> str:
    value = given[key]
    if not isinstance(value, str):
        raise _wrong(key, "must be text, not a list or a mapping")
    return " ".join(value.split())


def _labels(given: dict[Any, Any], key: str) -> list[str]:
    value = given[key]
    labels = value.split(",") if isinstance(value, str) else value
    # Only what is text itself is looked at: a few nested aliases can stand for a billion items.
    if not isinstance(labels, list) or not all(isinstance(each, str) for each in labels):
        raise _wrong(key, "must be a list of words, or words with commas between them")
    found = [label for each in labels if (label := each.strip().removeprefix("#").strip())]
    if len(found) > MAX_LABELS:
        raise _wrong(key, f"has {len(found)} items; at most {MAX_LABELS} are kept")
    return found


def _loss(given: dict[Any, Any]) -> float | str | None:
    if "galois_loss" in given:
        loss = _text(given, "galois_loss")
        return _number(loss, "galois_loss", "a number of 0 or more", math.inf)
    if "confidence" in given:
        sure = _text(given, "confidence")
        return 1 - _number(sure, "confidence", "a number from 0 to 1", 1)
    return None


def _number(text: str, key: str, right: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (0 <= number <= most and math.isfinite(number)):
        raise _wrong(key, f"must be {right}, not {text[:50]!r}")
    return number


def _created(given: dict[Any, Any]) -> datetime | None:
    for key in TIME_KEYS:
        if key in given:
            text = _text(given, key)
            try:
                return parse_time(text)
            except ValueError:
                raise _wrong(
                    key,
                    f"must be a time such as 2025-12-25 or 2025-12-25T10:30:00Z, not {text[:50]!r}",
                ) from None
    return None


def _contradicts(given: dict[Any, Any]) -> list[str]:
    value = given.get("contradicts", [])
    names = list(islice(_names([value] if isinstance(value, str) else value), MAX_EDGES + 1))
    if len(names) > MAX_EDGES:
        raise _wrong("contradicts", f"must name at most {MAX_EDGES} notes")
    return names


def _names(items: Any) -> Iterator[str]:
    """Yield the names in a list; YAML reads `[[name]]` without quotes as a list in a list."""
    for item in items if isinstance(items, list) else [items]:
        for _ in range(2):
            if isinstance(item, list) and len(item) == 1:
                item = item[0]  # noqa: PLW2901 — unwrapped
        if not isinstance(item, str):
            raise _wrong("contradicts", "must be one id, path or name of a note, or a list of them")
        if name := item.strip().removeprefix("[[").removesuffix("]]").strip():
            yield name


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(Problem(field, message))
