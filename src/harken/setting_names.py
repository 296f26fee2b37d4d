"""The names of settings, as environment variables."""

import difflib
from collections.abc import Iterable

from harken.errors import InvalidSettings

PREFIX = "HARKEN_"
# Settings of the test suite. The program ignores them, since a shell may export both.
TEST_PREFIX = "HARKEN_TEST_"


def check_setting_name(name: str, fields: Iterable[str]) -> None:
    """Raise InvalidSettings for the name of no setting; `fields` are the names without prefix."""
    known = [PREFIX + field.upper() for field in fields]
    if name.upper() not in known:
        # Names are compared without the prefix, which would make any two of them look similar.
        tails = [each.removeprefix(PREFIX) for each in known]
        close = difflib.get_close_matches(name.upper().removeprefix(PREFIX), tails, n=1)
        hint = f"did you mean {PREFIX}{close[0]}?" if close else f"known are {', '.join(known)}"
        raise InvalidSettings(f"there is no setting {name}; {hint}")
