"""The exceptions that Harken raises.

    HarkenError
    ├── InvalidInput            an input is wrong: which field, and what would be right
    │   ├── UnknownFeed           there is no feed of that name
    │   └── OtherReaderCursor     a cursor was made for another reader
    ├── Unauthorized            no valid key or user token
    ├── Forbidden               the caller may not do this
    ├── IdConflict              an event with this id and other content is already recorded
    ├── NotFound                there is nothing of that name
    ├── Erased                  nothing of this reader or K-Block may be recorded any more
    ├── CursorExpired           a cursor's first page is too old to be continued
    │   └── CursorAhead           a cursor of the log is of a later state than the database
    ├── Unavailable             nothing was acknowledged; the same call may succeed later
    │   ├── QueueFull             too many events wait for their commit
    │   ├── DatabaseUnavailable   the database does not answer
    │   └── Closed                this persistence has been closed
    ├── DamagedDatabase         the file of an SQLite database, or a copy of it, is damaged
    ├── SchemaMismatch          the database is older or newer than this program, or not set up
    ├── InvalidSettings         a HARKEN_… setting is unknown or wrong
    ├── Unreachable             another host did not answer
    ├── InvalidModel            a model cannot be read by this version
    └── MissingExtra            an optional dependency is not installed

No error here knows HTTP: `harken.protocols.http.errors` maps them to status codes.
"""

import difflib
import itertools
from collections.abc import Collection
from typing import NamedTuple

MOST_PROBLEMS = 20
MOST_QUOTED = 100
LONGEST_MESSAGE = 500


class Problem(NamedTuple):
    """One thing that is wrong with an input: where, and what would be right."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def shortened(text: str, most: int) -> str:
    """Return a text, or its first `most` characters and an ellipsis."""
    return text if len(text) <= most else f"{text[:most]}…"


def quoted(text: str) -> str:
    r"""Return a text from an input in quotes, for a message; at most 100 characters of it.

    >>> quoted("a\x00b")
    "'a\\x00b'"
    """
    return repr(shortened(text, MOST_QUOTED))


def close_to(name: str, known: Collection[str]) -> str:
    """Return a hint at the known name that is most similar to `name`, or an empty text."""
    # The comparison's time grows with the length, and no known name is that long.
    close = difflib.get_close_matches(name, known, n=1) if len(name) <= MOST_QUOTED else []
    return f"did you mean {close[0]}? " if close else ""


def printable(text: str) -> str:
    """Return text with its unprintable characters as escapes, for a terminal or a message."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def several(count: int, what: str) -> str:
    """Return a number with its noun: `1 note`, `2 notes`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _bounded(problems: Collection[Problem]) -> tuple[Problem, ...]:
    """Limit the number and the length of problems, whatever the size of the input."""
    kept = [
        Problem(_name(each.field), shortened(each.message, LONGEST_MESSAGE))
        for each in itertools.islice(problems, MOST_PROBLEMS)
    ]
    if more := len(problems) - len(kept):
        # The last one tells how many more there are.
        kept[-1] = Problem("", f"and {more + 1} more problems")
    return tuple(kept)


def _name(field: str) -> str:
    # The name of an unknown field is input too.
    short = shortened(field, MOST_QUOTED)
    return short if short.isprintable() else repr(short)[1:-1]


class HarkenError(Exception):
    """The base class of Harken's exceptions."""


class InvalidInput(HarkenError):
    """An input that cannot be accepted, with the problems found in it, at most 20."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = _bounded(problems)
        super().__init__("; ".join(map(str, self.problems)))


class OtherReaderCursor(InvalidInput):
    """A cursor that was made for another reader than the request's."""


class UnknownFeed(InvalidInput):
    """A name that no feed has."""

    def __init__(self, name: str, known: Collection[str]) -> None:
        super().__init__(
            Problem(
                "feed",
                f"{quoted(name)} is unknown; {close_to(name, known)}known are {', '.join(known)}, "
                "and those that are stored",
            )
        )


class IdConflict(HarkenError):
    """An interaction id that was already recorded with other content."""

    def __init__(self, interaction_id: str) -> None:
        super().__init__(
            f"interaction_id {interaction_id!r} was already recorded with other content; "
            "repeat an event with exactly the content it had, or give a new event a new id"
        )
        self.interaction_id = interaction_id


class Unauthorized(HarkenError):
    """A request without a valid key or user token."""


class Forbidden(HarkenError):
    """Something that the caller may not do, or may not do as this reader."""


class NotFound(HarkenError):
    """There is nothing of that name."""


class Erased(HarkenError):
    """A reader or a K-Block was erased: nothing of theirs is recorded until they are readmitted."""

    def __init__(self) -> None:
        super().__init__(
            "this reader or K-Block was erased, and nothing of theirs is recorded; "
            "an administrator can readmit them"
        )


class CursorExpired(HarkenError):
    """A cursor is too old: the order of its feed is no longer stored."""

    def __init__(self) -> None:
        super().__init__("this cursor is more than an hour old; start again without one")


class CursorAhead(CursorExpired):
    """A cursor is ahead of the log: the database was restored from an earlier state."""

    def __init__(self) -> None:
        HarkenError.__init__(
            self,
            "this cursor is ahead of the log: the database was restored from an earlier state; "
            "follow from an earlier cursor, or from the beginning: events keep their ids",
        )


class Unavailable(HarkenError):
    """A temporary condition; `retry_after` is the number of seconds to wait before a retry."""

    retry_after = 1


class QueueFull(Unavailable):
    """Too many events wait for their commit."""


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or gave up a transaction several times in a row."""

    retry_after = 2


class Closed(Unavailable):
    """The persistence was closed and takes no more events."""


class Unreachable(HarkenError):
    """Another host did not give what was asked of it."""


class DamagedDatabase(HarkenError):
    """The file of an SQLite database cannot be read as a whole, or a copy of it is damaged."""


class SchemaMismatch(HarkenError):
    """The database's schema is not the one that this version works with."""


class InvalidSettings(HarkenError):
    """A setting is unknown or has a value that cannot be used."""


class InvalidModel(HarkenError):
    """A model of the learned ranking cannot be used, from a file or from a database.

    `is_temporary` says that nothing is known against the model: it could not be checked in time.
    """

    def __init__(self, name: str, what: str, *, is_temporary: bool = False) -> None:
        super().__init__(f"{name} {what}; {'try again' if is_temporary else 'train a new one'}")
        self.is_temporary = is_temporary


class MissingExtra(HarkenError):
    """An optional dependency is needed and not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs an optional dependency: pip install 'harken[{extra}]', "
            f"or '.[{extra}]' in a checkout"
        )


def first_line(error: BaseException) -> str:
    """Return the first line of an error's own text, or its class if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
