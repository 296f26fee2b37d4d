"""Logs of randomised policies (bandit logs), and the target policies to estimate with them.

A row says which item was shown at which position, its reward, and the propensity: how likely the
item was to be shown there. The log may come from a system other than Harken.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.errors import InvalidInput, Problem
from harken.services.evaluation.intervals import Floats
from harken.services.evaluation.off_policy import Numbers, Rows, Target
from harken.services.record.files.accounts import Account
from harken.services.record.files.files import EventFile, Reading
from harken.services.record.files.rows import Row
from harken.services.record.files.values import (
    NUMERIC_IDS,
    check_readable,
    identifier,
    is_null,
    whole_float,
)

FIELDS = ("item", "position", "reward", "propensity", "user")
NEEDED = ("item", "reward", "propensity")

# Common column names of each field. If a file has several, the first one here is used.
COMMON_NAMES: dict[str, tuple[str, ...]] = {
    "item": ("item", "item_id", "kblock_id", "content_id", "action"),
    "position": ("position", "rank", "slot"),
    "reward": ("reward", "click", "clicked"),
    "propensity": ("propensity", "propensity_score", "pscore"),
    "user": ("user", "user_id"),
}

# Propensities of a cell that differ by less are equal. If the propensities of every cell are
# constant, they are the policy's probabilities.
_SAME = 1e-6
_WHOLE = 1e-3


Progress = Callable[[int, int], None]


@dataclass
class BanditLog:
    """The rows of a file: an index has the same row in each list."""

    items: list[str] = field(default_factory=list)
    positions: list[str] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    propensities: list[float] = field(default_factory=list)
    users: list[str] = field(default_factory=list)  # empty if the log has no such column
    columns: dict[str, str] = field(default_factory=dict)  # by field
    account: Account = field(default_factory=Account)

    def user_numbers(self) -> Numbers:
        """Return the user of each row as a number from 0; without users, each row has its own."""
        return _numbered(self.users) if self.users else np.arange(len(self.items))

    def reward_array(self) -> Floats:
        """Return the rewards (shape: rows)."""
        return np.array(self.rewards, np.float64)


class EstimationTask(NamedTuple):
    """An estimation task: the rows of a log, and a target policy over the same cells."""

    rows: Rows
    target: Target
    target_by: str  # the source of the target's probabilities, in words


def parse_columns(given: Iterable[str]) -> dict[str, str]:
    """Parse `FIELD=COLUMN` texts to columns by field; raises InvalidInput."""
    named = {}
    for text in given:
        name, separator, column = text.partition("=")
        if name not in FIELDS or not separator or not column:
            message = f"{text!r} must be FIELD=COLUMN, FIELD of {', '.join(FIELDS)}"
            raise InvalidInput(Problem("column", message))
        named[name] = column
    return named


def read_log(
    path: Path,
    columns: Mapping[str, str] | None = None,
    reading: Reading | None = None,
    progress: Progress = lambda _done, _total: None,
    *,
    as_written: bool = False,
) -> BanditLog:
    """Read a file of rows; invalid rows are refused and counted, and the others are kept.

    Ids are normalised like those of events, unless `as_written`. Without a column of positions, all
    rows have the same one. Raises InvalidInput if the file cannot be read, lacks a needed column or
    has no valid row.
    """
    log = BanditLog()
    account = log.account
    with EventFile(path, reading) as file:
        names = _Names(file.is_untyped, as_written)
        for count, row in enumerate(file):
            if not count % 1_000:
                progress(file.position, file.size)
            account.count(row)
            try:
                _take(log, row, columns or {}, names)
            except (ValueError, InvalidInput) as error:
                account.refuse(row.line, str(error))
        progress(file.size, file.size)
        account.remarks, account.tally = file.remarks, file.tally
    if wrong := account.unaccounted(len(log.items)):
        raise InvalidInput(
            Problem("log", f"the counts of rows do not add up, which is a bug in Harken: {wrong}")
        )
    if not log.items:
        reason = (
            f": line {account.refusals[0][0]}: {account.refusals[0][1]}" if account.refused else ""
        )
        raise InvalidInput(Problem("log", f"{path}: has no rows that can be read{reason}"))
    return log


class _Names(NamedTuple):
    """How ids of items, positions and users are normalised."""

    is_untyped: bool
    as_written: bool

    def read(self, name: str, value: Any, notes: list[str]) -> str:
        """Return an id as text; raises ValueError or InvalidInput."""
        if not self.as_written and is_null(value):
            raise ValueError(f"{name}: {value!r} stands for no value")
        if isinstance(value, str):
            whole = whole_float(name, value) if self.is_untyped and not self.as_written else None
            if whole is not None:
                notes.append(NUMERIC_IDS)
            return whole or value
        text, was_fraction = identifier(name, value)
        if was_fraction:
            notes.append(NUMERIC_IDS)
        if not isinstance(text, str):
            raise ValueError(f"{name}: must be text or a whole number")  # noqa: TRY004
        return text


def _take(log: BanditLog, row: Row, columns: Mapping[str, str], names: _Names) -> None:
    fields = row.fields
    if isinstance(fields, str):
        raise ValueError(fields)  # noqa: TRY004 — a text here says why the row is invalid
    found = _found(fields, columns)
    log.columns = log.columns or found
    if new := set(found) - set(log.columns):
        raise ValueError(f"{min(new)}: earlier rows have no such field")
    values = {name: fields.get(column) for name, column in log.columns.items()}
    for name, value in values.items():
        check_readable(name, value)
        if value is None:
            raise ValueError(f"{name}: is missing")
    reward, propensity = _number("reward", values), _number("propensity", values)
    if not 0 < propensity <= 1:
        raise ValueError(
            f"propensity: {propensity:g} must be more than 0 and at most 1, since the row was shown"
        )
    notes: list[str] = []
    read = {n: names.read(n, values[n], notes) for n in ("item", "position", "user") if n in values}
    log.items.append(read["item"])
    log.positions.append(read.get("position", ""))
    log.rewards.append(reward)
    log.propensities.append(propensity)
    if "user" in read:
        log.users.append(read["user"])
    if notes:
        log.account.note(row.line, notes)


def _number(name: str, values: Mapping[str, Any]) -> float:
    try:
        number = float(values[name])
    except (TypeError, ValueError):
        raise ValueError(f"{name}: {values[name]!r} must be a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{name}: must be a finite number")
    return number


def _found(fields: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Return the column of each field; raises InvalidInput if a needed one is missing."""
    found = {}
    for name, common in COMMON_NAMES.items():
        wanted = (given[name],) if name in given else common
        column = next((each for each in wanted if each in fields), None)
        if column is not None:
            found[name] = column
        elif name in given or name in NEEDED:
            raise InvalidInput(Problem(name, _missing(name, given, fields)))
    return found


def _missing(name: str, given: Mapping[str, str], fields: Mapping[str, Any]) -> str:
    there = f"the columns are {', '.join(fields)}"
    if name in given:
        return f"has no value in a column {given[name]!r}; {there}"
    common = ", ".join(COMMON_NAMES[name])
    why = ""
    if name == "propensity":
        why = "without propensities a log cannot estimate other policies; "
    return f"has no value in a column {common}; {why}give --column {name}=COLUMN; {there}"


def uniform_target(log: BanditLog) -> EstimationTask:
    """Return the task for a target that shows each item of the log equally often per position."""
    items, positions = _names(log.items), _names(log.positions)
    rows = _rows(log, items, positions)
    target = Target(
        np.full(len(items) * len(positions), 1 / len(items)), _cell_positions(items, positions)
    )
    return EstimationTask(rows, target, f"1 of {len(items)} items at each position")


def target_from_log(log: BanditLog, other: BanditLog) -> EstimationTask:
    """Return the task for the policy of another log as the target; its rewards are not used.

    If each cell always has the same propensity, and those of a position add up to 1, they are the
    policy's probabilities. Otherwise the policy depended on context. Then the mean propensity over
    the rows that show a cell is too high, since a high propensity makes a cell show more often. So
    a cell's probability is its share of the rows at its position.

    Raises InvalidInput if the other log lacks a position of this one.
    """
    items = _names(log.items + other.items)
    positions = _names(log.positions)
    if absent := sorted(set(log.positions) - set(other.positions)):
        message = f"has no rows at position {', '.join(absent)}, where the log has some"
        raise InvalidInput(Problem("target", message))
    kept = np.array([each in positions for each in other.positions], np.bool_)
    places = _cell_positions(items, positions)
    shown = _cells(other, items, positions, kept)
    counts = np.bincount(shown, minlength=len(places)).astype(np.float64)
    propensities = np.array(other.propensities)[kept]
    exact = _constant(shown, propensities, counts, places)
    if exact is not None:
        probabilities = exact / np.bincount(places, exact)[places]
        target, how = Target(probabilities, places), "its propensities, which are constant"
    else:
        shares = counts / np.bincount(places, counts)[places]
        target = Target(shares, places, shown, other.user_numbers()[kept])
        how = "the share of each item at each position"
    return EstimationTask(_rows(log, items, positions), target, how)


def _constant(
    shown: Numbers, propensities: Floats, counts: Floats, places: Numbers
) -> Floats | None:
    """Return the propensity of each cell if it is constant; None otherwise."""
    means = np.bincount(shown, propensities, minlength=len(places)) / np.maximum(counts, 1)
    if (np.abs(propensities - means[shown]) > _SAME).any():
        return None
    whole = np.abs(np.bincount(places, means) - 1) <= _WHOLE
    return means if whole.all() else None


def _rows(log: BanditLog, items: dict[str, int], positions: dict[str, int]) -> Rows:
    everything = np.ones(len(log.items), np.bool_)
    return Rows(
        _cells(log, items, positions, everything),
        log.reward_array(),
        np.array(log.propensities, np.float64),
        log.user_numbers(),
    )


def _cells(
    log: BanditLog, items: dict[str, int], positions: dict[str, int], kept: NDArray[np.bool_]
) -> Numbers:
    pairs: Iterator[tuple[str, str]] = zip(log.items, log.positions, strict=True)
    width = len(positions)
    numbers = (items[item] * width + positions.get(position, 0) for item, position in pairs)
    return np.fromiter(numbers, np.intp, len(log.items))[kept]


def _cell_positions(items: dict[str, int], positions: dict[str, int]) -> Numbers:
    return np.tile(np.arange(len(positions)), len(items))


def _names(values: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(values))}


def _numbered(values: list[str]) -> Numbers:
    numbers = _names(values)
    return np.fromiter((numbers[each] for each in values), np.intp, len(values))
