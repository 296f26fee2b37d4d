"""How the columns and values of somebody's log become ours."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from harken.domain.feedback import FeedbackAction, Interaction
from harken.errors import InvalidInput, Problem

FIELDS = tuple(Interaction.model_fields)

# What logs commonly call our fields. One of our own names in the same file goes first.
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

# What logs commonly call an engagement, and the interaction type that it becomes.
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

_IDS = frozenset({"user_id", "kblock_id", "interaction_id", "request_id", "session_id"})
_INTEGERS = frozenset({"dwell_time_ms", "position"})
_TIMES = frozenset({"occurred_at", "sent_at"})


@dataclass
class LogMapping:
    """Which column is which field, which value is which action, and what a naive time means."""

    columns: dict[str, str] = field(default_factory=dict)
    actions: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    timezone: tzinfo | None = None
    _names: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(
        cls, columns: Iterable[str] = (), actions: Iterable[str] = (), timezone: str | None = None
    ) -> Self:
        """Read `FIELD=COLUMN` and `VALUE=ACTION` or `VALUE=ACTION:TYPE`; raises InvalidInput."""
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
        return cls(named, meant, _zone(timezone))

    def names(self, columns: tuple[str, ...]) -> dict[str, str]:
        """Return which of some columns becomes which field; the others are left out."""
        if columns not in self._names:
            names = {each: each for each in columns if each in FIELDS}
            names |= {c: n for c, n in COMMON_NAMES.items() if c in columns and n not in columns}
            taken = set(self.columns.values())
            names = {c: n for c, n in names.items() if n not in taken}
            self._names[columns] = names | {c: n for c, n in self.columns.items() if c in columns}
        return self._names[columns]

    def interaction(self, row: Mapping[str, Any]) -> Interaction:
        """Make an interaction of a row; raises InvalidInput."""
        fields = {name: row[column] for column, name in self.names(tuple(row)).items()}
        for name, value in fields.items():
            if name in _IDS:
                fields[name] = _identifier(value)
            elif name in _INTEGERS:
                fields[name] = _integer(name, value)
            elif name in _TIMES:
                fields[name] = self._time(name, value)
        if isinstance(fields.get("metadata"), str):
            fields["metadata"] = json_object(fields["metadata"])
        if isinstance(fields.get("action"), str):
            fields["action"], kind = self._action(fields["action"])
            if kind is not None:
                fields.setdefault("interaction_type", kind)
        return Interaction.parse(fields)

    def _action(self, value: str) -> tuple[str, str | None]:
        if value in self.actions:
            return self.actions[value]
        plain = value.strip().lower().replace("_", " ")
        if plain in COMMON_ENGAGEMENTS:
            return FeedbackAction.ENGAGE, COMMON_ENGAGEMENTS[plain]
        return (plain if plain in set(FeedbackAction) else value), None

    def _time(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return value  # digits since 1970 are read by Interaction, anything else refused
        if isinstance(value, datetime) and value.tzinfo is None:
            if self.timezone is None:
                raise InvalidInput(
                    Problem(name, "has no offset from UTC; say --timezone, such as UTC")
                )
            value = value.replace(tzinfo=self.timezone)
        return value


def _zone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            Problem("timezone", f"{name!r} is none; name one such as UTC or Europe/Berlin")
        ) from None


def _identifier(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _integer(name: str, value: Any) -> Any:
    try:
        return int(value) if isinstance(value, str) or float(value).is_integer() else value
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(Problem(name, f"{value!r} must be a whole number")) from None


def json_object(text: str) -> Any:
    """Read metadata that is written as text; raises InvalidInput."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(Problem("metadata", f"must be a JSON object: {error}")) from None
