"""Every setting with its value, where it comes from, and what is wrong with it.

No secret is part of a result: keys, tokens' secrets and the database's password are hidden, and so
is a value that cannot be read, since it may be a secret in the wrong place.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr, ValidationError
from sqlalchemy import make_url

from harken.config import Settings
from harken.database import create_engine
from harken.domain.durations import write_duration
from harken.errors import HarkenError
from harken.setting_names import PREFIX, TEST_PREFIX, check_setting_name

HIDDEN = "(set, not shown)"
UNREADABLE = "(not shown, since it cannot be read)"
ENVIRONMENT, DEFAULT = "environment", "default"


class SettingState(NamedTuple):
    """A setting: `value` as text, None if it is unset; `problem` is None if it can be used."""

    name: str
    value: str | None
    source: str
    problem: str | None = None


def check_settings() -> list[SettingState]:
    """Return the state of every setting, and of every unknown name that looks like one.

    Connects to nothing.
    """
    given = {name.upper() for name in os.environ}
    problems = _problems()
    settings = Settings(**{name: _default(name) for name in problems})
    problems |= _problems_of_use(settings, problems)
    states = []
    for field in Settings.model_fields:
        name = PREFIX + field.upper()
        is_read = field not in problems or not _is_parse_error(problems[field])
        value = as_text(field, getattr(settings, field)) if is_read else UNREADABLE
        source = ENVIRONMENT if name in given else DEFAULT
        reason = problems.get(field)
        states.append(SettingState(name, value, source, reason and reason.removeprefix(_PARSE)))
    return [*states, *_unknown()]


_PARSE = "\0"


def _is_parse_error(problem: str) -> bool:
    return problem.startswith(_PARSE)


def _problems() -> dict[str, str]:
    """Return what is wrong with values that cannot be read, by field."""
    try:
        Settings()
    except ValidationError as error:
        return {
            str(each["loc"][0]).lower(): _PARSE + each["msg"].removeprefix("Value error, ")
            for each in error.errors(include_input=False)
        }
    return {}


def _default(field: str) -> Any:
    return Settings.model_fields[field].get_default(call_default_factory=True)


def _problems_of_use(settings: Settings, known: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with values that can be read, but not used."""
    found = {}
    if "database_url" not in known:
        try:
            create_engine(settings)  # connects to nothing yet
        except HarkenError as error:
            found["database_url"] = str(error).removeprefix(f"{PREFIX}DATABASE_URL: ")
    if settings.token_jwks and not Path(settings.token_jwks).is_file():
        found["token_jwks"] = f"there is no file {settings.token_jwks}"
    return found


def _unknown() -> list[SettingState]:
    states = []
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and not name.startswith(TEST_PREFIX):
            try:
                check_setting_name(name, Settings.model_fields)
            except HarkenError as error:
                states.append(SettingState(name, UNREADABLE, ENVIRONMENT, str(error)))
    return states


def as_text(field: str, value: Any) -> str | None:
    """Return the value of a setting as it is written, without secrets; None if it is unset."""
    if value is None or value == ():
        return None
    if field == "database_url":
        return _without_secrets(str(value))
    if field == "read_urls":
        return ",".join(map(_without_secrets, value))
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{each:g}" for name, each in value.items()) or None
    if isinstance(value, tuple):
        if hasattr(value, "_asdict"):
            return as_text(field, value._asdict())
        return HIDDEN if isinstance(value[0], SecretStr) else ",".join(map(_word, value))
    return _word(value)


def _word(value: Any) -> str:
    match value:
        case SecretStr():
            return HIDDEN
        case timedelta():
            return write_duration(value)
        case Enum():
            return str(value.value)
        case _:
            return str(value)


def _without_secrets(url: str) -> str:
    """Return a database's URL without its password, and without parameters, which may have one."""
    parsed = make_url(url)
    shown = parsed.set(query={}).render_as_string(hide_password=True)
    return f"{shown}?…" if parsed.query else shown
