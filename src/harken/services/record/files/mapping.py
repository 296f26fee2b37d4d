"""Mapping of the columns and values of other logs to fields of interactions."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from harken.domain.feedback import FeedbackAction, Interaction
from harken.errors import InvalidInput, Problem
from harken.services.record.files.event_times import event_time
from harken.services.record.files.values import (
    NO_VALUES,
    NUMERIC_IDS,
    check_readable,
    identifier,
    integer,
    is_null,
    whole_float,
)

FIELDS = tuple(Interaction.model_fields)

# Common names of fields in other logs. Harken's own name takes precedence if a file has both.
COMMON_NAMES = {
    "created_at": "occurred_at",
    "timestamp": "occurred_at",
    "time": "occurred_at",
    "datetime": "occurred_at",
    "id": "interaction_id",
    "event_id": "interaction_id",
    "user": "user_id",
    "person_id": "user_id",
    "reader_id": "user_id",
    "visitor_id": "user_id",
    "item_id": "kblock_id",
    "content_id": "kblock_id",
    "article_id": "kblock_id",
    "post_id": "kblock_id",
    "event_type": "action",
    "event": "action",
    "dwell_ms": "dwell_time_ms",
}

# Common names of engagements in other logs, and the interaction types that they become.
COMMON_ENGAGEMENTS = {
    "bookmark": "bookmark",
    "click": "click",
    "comment": "comment",
    "comment created": "comment",
    "copy": "copy",
    "edit": "edit",
    "follow": "follow",
    "like": "like",
    "link": "link",
    "save": "save",
    "share": "share",
}

REQUIRED = ("user_id", "kblock_id", "action")


_MOST_SHAPES = 1_000
_MOST_NAMED = 20
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[\s.-]+")

_IDS = frozenset({"user_id", "kblock_id", "interaction_id", "request_id", "session_id"})
_ACTIONS = frozenset(FeedbackAction)
_INTEGERS = frozenset({"dwell_time_ms", "position"})
_TIMES = frozenset({"occurred_at", "sent_at"})


@dataclass
class LogMapping:
    """The mapping of columns to fields, of values to actions, and the zone of naive times."""

    columns: dict[str, str] = field(default_factory=dict)
    actions: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    timezone: tzinfo | None = None
    as_written: bool = False
    """Whether ids are taken unchanged, including `12345.0` and `NULL`."""
    is_untyped: bool = False
    """Whether the current file writes numbers as text, as CSV does."""
    notes: list[str] = field(default_factory=list, repr=False)
    """The assumptions made since this list was last cleared."""
    _names: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(
        cls,
        columns: Iterable[str] = (),
        actions: Iterable[str] = (),
        timezone: str | None = None,
        *,
        as_written: bool = False,
    ) -> Self:
        """Parse `FIELD=COLUMN` and `VALUE=ACTION` or `VALUE=ACTION:TYPE`; raises InvalidInput."""
        named: dict[str, str] = {}
        for text in columns:
            name, separator, column = text.partition("=")
            if name not in FIELDS or not separator or not column:
                raise InvalidInput(
                    Problem(
                        "column", f"{text!r} must be FIELD=COLUMN, FIELD of {', '.join(FIELDS)}"
                    )
                )
            named[column] = name
        meant: dict[str, tuple[str, str | None]] = {}
        for text in actions:
            value, separator, meaning = text.rpartition("=")
            action, _, kind = meaning.partition(":")
            if not separator or action not in set(FeedbackAction):
                raise InvalidInput(
                    Problem(
                        "action",
                        f"{text!r} must be VALUE=ACTION or VALUE=ACTION:TYPE, "
                        f"ACTION of {', '.join(FeedbackAction)}",
                    )
                )
            meant[value] = (action, kind or None)
        return cls(named, meant, _zone(timezone), as_written)

    def names(self, columns: tuple[str, ...]) -> dict[str, str]:
        """Return the field of each column; columns without a field are left out.

        Names are compared without case, and words may be joined by `_`, `-`, spaces or capitals.
        Raises InvalidInput if two columns have the same name in this sense.
        """
        if columns not in self._names:
            if len(self._names) >= _MOST_SHAPES:
                self._names.clear()
            self._names[columns] = self._named(columns)
        return self._names[columns]

    def _named(self, columns: tuple[str, ...]) -> dict[str, str]:
        given = {c: n for c, n in self.columns.items() if c in columns}
        taken = set(self.columns.values())
        plain: dict[str, str] = {}
        for column in columns:
            name = plain_name(column)
            meant = COMMON_NAMES.get(name, name)
            if column in given or meant not in FIELDS or meant in taken:
                continue
            if name in plain:
                message = f"{plain[name]!r} and {column!r} both match; choose one with --column"
                raise InvalidInput(Problem(meant, message))
            plain[name] = column
        names = {column: name for name, column in plain.items() if name in FIELDS}
        common = ((c, n) for c, n in COMMON_NAMES.items() if c in plain and n not in plain)
        return names | {plain[c]: n for c, n in common} | given

    def check(self, columns: Iterable[str]) -> None:
        """Raise InvalidInput if the columns of a file lack a required field."""
        columns = tuple(columns)
        found = self.names(columns).values()
        if missing := [name for name in REQUIRED if name not in found]:
            there = ", ".join(f"{column!r:.50}" for column in columns[:_MOST_NAMED])
            message = f"has no column for {', '.join(missing)}; its columns are {there}"
            advice = "give --column FIELD=COLUMN, or another --delimiter"
            raise InvalidInput(Problem("header", f"{message}; {advice}"))

    def interaction(self, row: Mapping[str, Any]) -> Interaction:
        """Make an interaction from a row; raises InvalidInput."""
        fields = {name: row[column] for column, name in self.names(tuple(row)).items()}
        for name, value in fields.items():
            fields[name] = self._value(name, value)
        if isinstance(fields.get("metadata"), str):
            fields["metadata"] = json_object(fields["metadata"])
        if isinstance(fields.get("action"), str):
            fields["action"], kind = self._action(fields["action"])
            if kind is not None:
                fields.setdefault("interaction_type", kind)
        return Interaction.parse(fields)

    def _value(self, name: str, value: Any) -> Any:
        check_readable(name, value)
        if self.as_written and name in _IDS:
            return identifier(name, value)[0]
        if is_null(value) and not (name == "action" and value in self.actions):
            self._note_null(name, value)
            return None
        if name in _IDS:
            return self._identifier(name, value)
        if name in _INTEGERS:
            return integer(name, value)
        if name in _TIMES:
            return event_time(name, value, self.timezone, self.notes.append)
        return value

    def _note_null(self, name: str, value: Any) -> None:
        if value is None:
            return
        if name in REQUIRED:
            advice = "map it with --action" if name == "action" else "--as-written keeps it"
            raise InvalidInput(Problem(name, f"{value!r} means no value; {advice}"))
        self.notes.append(NO_VALUES)

    def _identifier(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            whole = whole_float(name, value) if self.is_untyped else None
            if whole is None:
                return value
            self.notes.append(NUMERIC_IDS)
            return whole
        text, was_fraction = identifier(name, value)
        if was_fraction:
            self.notes.append(NUMERIC_IDS)
        return text

    def _action(self, value: str) -> tuple[str, str | None]:
        if value in self.actions:
            return self.actions[value]
        plain = value.strip().lower().replace("_", " ")
        if plain in COMMON_ENGAGEMENTS:
            return FeedbackAction.ENGAGE, COMMON_ENGAGEMENTS[plain]
        return (plain if plain in _ACTIONS else value), None


def _zone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            Problem("timezone", f"{name!r} is not a time zone such as UTC or Europe/Berlin")
        ) from None


def plain_name(column: str) -> str:
    """Return the name of a column in lower case, with its words joined by `_`."""
    return _SEPARATORS.sub("_", _CAPITAL.sub("_", column.strip())).lower()


def json_object(text: str) -> Any:
    """Parse metadata that is written as text; raises InvalidInput."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(Problem("metadata", f"must be a JSON object: {error}")) from None
