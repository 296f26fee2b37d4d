"""Everything that Harken raises on purpose.

    HarkenError
    ├── InvalidInput            what came in cannot be accepted: which field, what would be right
    │   └── UnknownFeed           there is no feed of that name
    ├── IdConflict              this interaction id already stands for something else
    ├── NotFound                there is nothing of that name
    ├── CursorExpired           a feed's first page is too long ago to go on from it
    ├── Unavailable             nothing was acknowledged; the same call may succeed later
    │   ├── QueueFull             more events are waiting than may wait
    │   ├── DatabaseUnavailable   the database does not answer
    │   └── Closed                this persistence has been closed
    ├── SchemaMismatch          the database is older or newer than this program, or not set up
    ├── InvalidSettings         a HARKEN_… setting is unknown or wrong
    ├── InvalidModel            a model is none that this version can read
    └── MissingExtra            an optional dependency is not installed

No error here knows of HTTP: `harken.protocols.http.errors` gives them their status codes.
"""

import difflib
import itertools
from collections.abc import Collection
from typing import NamedTuple

MOST_PROBLEMS = 20
MOST_QUOTED = 100
MOST_SAID = 500


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
    r"""Write a text that came in for a message: in quotes, at most some hundred characters of it.

    >>> quoted("a\x00b")
    "'a\\x00b'"
    """
    return repr(shortened(text, MOST_QUOTED))


def close_to(name: str, known: Collection[str]) -> str:
    """Return a hint at the known name that is most like another one, or nothing."""
    # Comparing takes time by the length; what is longer than any name is like none.
    close = difflib.get_close_matches(name, known, n=1) if len(name) <= MOST_QUOTED else []
    return f"did you mean {close[0]}? " if close else ""


def _bounded(problems: Collection[Problem]) -> tuple[Problem, ...]:
    """Keep problems from growing with the input: in number, and in length."""
    kept = [
        Problem(_name(each.field), shortened(each.message, MOST_SAID))
        for each in itertools.islice(problems, MOST_PROBLEMS)
    ]
    if more := len(problems) - len(kept):
        # The last one says how many more there are.
        kept[-1] = Problem("", f"and {more + 1} more problems")
    return tuple(kept)


def _name(field: str) -> str:
    # A field's name came in as well, where it is one that nobody knows.
    short = shortened(field, MOST_QUOTED)
    return short if short.isprintable() else repr(short)[1:-1]


class HarkenError(Exception):
    """The root of the tree."""


class InvalidInput(HarkenError):
    """An input that cannot be accepted, with the problems found in it, at most 20."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = _bounded(problems)
        super().__init__("; ".join(map(str, self.problems)))


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


class NotFound(HarkenError):
    """There is nothing of that name."""


class CursorExpired(HarkenError):
    """A cursor whose feed is not remembered any more."""

    def __init__(self) -> None:
        super().__init__("this cursor is more than an hour old; start again without one")


class Unavailable(HarkenError):
    """A passing condition; `retry_after` is the number of seconds after which to try again."""

    retry_after = 1


class QueueFull(Unavailable):
    """More events are waiting for their commit than may wait."""


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or gave up a transaction several times in a row."""

    retry_after = 2


class Closed(Unavailable):
    """The persistence was closed and takes no more events."""


class SchemaMismatch(HarkenError):
    """The database's schema is not the one that this version works with."""


class InvalidSettings(HarkenError):
    """A setting is unknown or has a value that cannot be used."""


class InvalidModel(HarkenError):
    """A model of the learned ranking that cannot be taken, of a file or of a database."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name} {what}; train it anew")


class MissingExtra(HarkenError):
    """An optional dependency is needed and not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs an optional dependency: pip install 'harken[{extra}]', "
            f"or '.[{extra}]' in a checkout"
        )
