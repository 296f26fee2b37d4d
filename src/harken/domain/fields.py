"""Types of input fields, and the messages for problems with them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    Strict,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema

from harken.errors import InvalidInput, Problem

ID_LENGTH = 64
# More than any model has. A wider object is refused as a whole, not with a problem per field.
MOST_FIELDS = 40

M = TypeVar("M", bound=BaseModel)


def _storable(text: str) -> str:
    # PostgreSQL cannot store NUL in text. It is refused for SQLite too, so that both behave alike.
    if "\x00" in text:
        raise ValueError("must not contain \\u0000")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("must not contain lone surrogates") from None
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


@dataclass(frozen=True, eq=False)  # hashed as itself: a mapping has no hash
class Documented:
    """Adds checks that are made in code to a JSON schema: `Annotated[str, Documented(...)]`."""

    more: Mapping[str, Any]

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the type."""
        return {**handler(core), **self.more}


# Python also takes U+001C to U+001F and U+0085 for blank, which `\s` of JSON schemas does not.
_SOME_TEXT = Documented({"pattern": r"^[^\u0000]*[^\s\u0000\u001c-\u001f\u0085][^\u0000]*$"})

Text = Annotated[str, AfterValidator(_storable), Documented({"pattern": r"^[^\u0000]*$"})]
"""Text that both databases can store."""

StrictText = Annotated[Text, Strict()]
"""Text that nothing else is converted to."""

Words = Annotated[str, AfterValidator(_storable), AfterValidator(_not_blank), _SOME_TEXT]
"""Text that both databases can store, and that is not blank."""

Label = Annotated[
    str,
    Field(min_length=1, max_length=ID_LENGTH),
    AfterValidator(_storable),
    AfterValidator(_not_blank),
    _SOME_TEXT,
]
"""A tag, a name or a kind: 1 to 64 characters, not all of them blank."""


def _kept_id(text: str) -> str:
    """Check an id that an earlier version may have stored."""
    if not text:
        raise ValueError("String should have at least 1 character")
    if len(text) > ID_LENGTH:
        raise ValueError(
            f"String should have at most {ID_LENGTH} characters, and has {len(text)}: "
            "send a hash of it, such as its SHA-256 in hex"
        )
    return _not_blank(_storable(text))


def _new_id(text: str) -> str:
    """Check an id that is to be stored."""
    _kept_id(text)
    # Nearly all ids are printable, and need no search.
    if not text.isprintable() and (found := _UNREADABLE.search(text)):
        raise ValueError(
            f"must not contain control characters, such as \\u{ord(found[0]):04x} here"
        )
    return text


# These characters end lines or control terminals, and proxies drop or refuse them in URLs.
# Invisible characters that are part of words and emoji, such as joiners, are allowed.
_CONTROLS = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_UNREADABLE = re.compile(f"[{_CONTROLS}]")
_LENGTH = {"minLength": 1, "maxLength": ID_LENGTH}
_NEW_ID = {"pattern": rf"^[^{_CONTROLS}]*[^\s{_CONTROLS}][^{_CONTROLS}]*$"}

Identifier = Annotated[str, AfterValidator(_new_id), Documented(_LENGTH | _NEW_ID)]
"""An id: 1 to 64 characters, no control characters, not all of them blank."""

KeptIdentifier = Annotated[str, AfterValidator(_kept_id), Documented(_LENGTH), _SOME_TEXT]
"""An id to look up: earlier versions stored ids with control characters too."""


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""Used with StrictInt: accepts whole numbers as JSON defines them (5 and 5.0), not "5" or true."""


MOST_DIGITS = 15
"""Python reads no number of over 4,300 digits, and needs the square of their count for fewer."""


def whole_number(text: str) -> int | None:
    """Return the number that a text of the digits 0 to 9 writes; None for another text.

    >>> whole_number("042"), whole_number("4²"), whole_number("-1"), whole_number("9" * 5_000)
    (42, None, None, None)
    """
    is_number = text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS
    return int(text) if is_number else None


def _addressable(text: str) -> str:
    # In the path of a URL these mean folders, and clients resolve them before they send a request.
    if text in {".", ".."}:
        raise ValueError("must not be . or .., which cannot be part of a URL")
    return text


AddressableId = Annotated[
    Identifier,
    AfterValidator(_addressable),
    Documented({"not": {"enum": [".", ".."]}}),
]
"""An id that is part of a URL."""


def at_most(count: int) -> BeforeValidator:
    """Refuse a list or an object with more than `count` members before its members are checked.

    pydantic checks `max_length` last: a list of a million wrong members would give a million
    problems first.
    """

    def check(value: Any) -> Any:
        if isinstance(value, list | tuple | set | frozenset | dict) and len(value) > count:
            raise ValueError(f"must have at most {count} items, not {len(value)}")
        return value

    return BeforeValidator(check)


def _check_width(model: type[BaseModel], fields: Any) -> None:
    if isinstance(fields, dict) and len(fields) > MOST_FIELDS:
        raise ValueError(f"has {len(fields)} fields; known are {', '.join(model.model_fields)}")


class Part(BaseModel):
    """The base of objects inside other objects: frozen, without unknown fields.

    An object with very many fields is refused as a whole, so that the number of problems is small.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _is_narrow(cls, fields: Any) -> Any:
        _check_width(cls, fields)
        return fields


def parse(model: type[M], fields: Mapping[str, Any]) -> M:
    """Check the fields of a model; raises InvalidInput with the problems found."""
    try:
        _check_width(model, fields)
    except ValueError as error:
        raise InvalidInput(Problem("", str(error))) from None
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise InvalidInput(
            *(
                Problem(".".join(map(str, each["loc"])), explain(each["type"], each["msg"], model))
                for each in found
            )
        ) from None


_identifier = TypeAdapter(Identifier)
_kept_identifier = TypeAdapter(KeptIdentifier)
_label = TypeAdapter(Label)


def check_identifier(name: str, value: str) -> None:
    """Raise InvalidInput if a value cannot be an id."""
    _check(_identifier, name, value)


def check_kept_identifier(name: str, value: str) -> None:
    """Raise InvalidInput if a value cannot be the id of anything stored."""
    _check(_kept_identifier, name, value)


def check_label(name: str, value: str) -> None:
    """Raise InvalidInput if a value cannot be a tag, a name or a kind."""
    _check(_label, name, value)


def _check(kind: TypeAdapter[str], name: str, value: str) -> None:
    try:
        kind.validate_python(value)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        raise InvalidInput(Problem(name, explain(found["type"], found["msg"]))) from None


def is_identifier(value: str) -> bool:
    """Whether a value can be an id."""
    return _is(_identifier, value)


def is_kept_identifier(value: str) -> bool:
    """Whether a value can be the id of something stored."""
    return _is(_kept_identifier, value)


def _is(kind: TypeAdapter[str], value: str) -> bool:
    try:
        kind.validate_python(value)
    except ValidationError:
        return False
    return True


def explain(kind: str, message: str, model: type[BaseModel] | None = None) -> str:
    """Return the message for a problem of pydantic: reworded for some kinds, else its own."""
    if kind == "extra_forbidden":
        known = f"; known are {', '.join(model.model_fields)}" if model else ""
        return f"is not a known field{known}"
    if kind == "missing":
        return "is required"
    if kind in {"model_attributes_type", "model_type"}:
        return "must be a JSON object, sent with Content-Type: application/json"
    if kind == "timezone_aware":
        return "needs its offset from UTC, such as 2025-12-25T10:30:00Z"
    if kind == "tuple_type":
        return "must be a list"
    if kind == "string_unicode":
        return "must not contain lone surrogates"
    return message.removeprefix("Value error, ")
