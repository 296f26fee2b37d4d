"""How settings that are more than one word are read from environment variables."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from harken.domain.durations import parse_duration
from harken.errors import InvalidInput


def parsed_by(parse: Callable[[str], object]) -> BeforeValidator:
    """Return a validator that reads texts with `parse`, and takes other values as they are.

    What `parse` refuses with InvalidInput is refused with the same words.
    """

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return parse(value)
        except InvalidInput as error:
            raise ValueError(str(error)) from None

    return BeforeValidator(read)


def split_list(text: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated list, without spaces around them and empty ones."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_period(text: str) -> timedelta | None:
    """Return how often something is done, None for never, which is an empty text.

    Raises ValueError for a period of 0, and InvalidInput for what is no duration.
    """
    if not text.strip():
        return None
    period = parse_duration("", text.strip())
    if not period:
        raise ValueError("must be more than 0; leave it unset to turn it off")
    return period


SPLIT = parsed_by(split_list)
Period = Annotated[timedelta | None, NoDecode, parsed_by(parse_period)]
