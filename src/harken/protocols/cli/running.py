"""Functions that the commands share: opening services, reading and printing JSON."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.markup import escape

from harken.errors import InvalidInput, Problem, printable, several

if TYPE_CHECKING:  # each command imports the services that it uses
    from harken.services.access.key_ring import KeyRing
    from harken.services.feed.service import FeedService
    from harken.services.kblocks.store import KBlockStore
    from harken.services.record.persistence import FeedFeedbackPersistence

T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

JsonAnyway = Annotated[
    bool, typer.Option("--json", help="Accepted, as everywhere: this command prints JSON anyway.")
]

Force = Annotated[bool, typer.Option("--force", help="Replace the file if it is already there.")]

TIME_FORMATS = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]
"""How options write a time; without an offset it is UTC."""

WIDE = 1_000
"""Width of the output, in columns, if it is a pipe or a file."""


def _width() -> int | None:
    is_bounded = Console().is_terminal or os.environ.get("COLUMNS", "").isdigit()
    return None if is_bounded else WIDE


# A text of the database may contain a word such as :x:, which must not become an emoji.
console = Console(soft_wrap=True, width=_width(), emoji=False)
messages = Console(stderr=True, soft_wrap=True, emoji=False)


def with_persistence(work: Callable[["FeedFeedbackPersistence"], Awaitable[T]]) -> T:
    """Run a coroutine function with the record of the configured database, and return its result.

    The database is closed afterwards, also after an error.
    """
    return _run("feed_feedback_persistence", work)


def with_kblocks(work: Callable[["KBlockStore"], Awaitable[T]]) -> T:
    """Run a coroutine function with the K-Block store of the configured database."""
    return _run("kblock_store", work)


def with_feeds(work: Callable[["FeedService"], Awaitable[T]]) -> T:
    """Run a coroutine function with the feed service of the configured database."""
    return _run("feed_service", work)


def with_keys(work: Callable[["KeyRing"], Awaitable[T]]) -> T:
    """Run a coroutine function with the keys of the configured database."""
    return _run("key_ring", work)


def with_session_factory(work: Callable[[Any], Awaitable[T]]) -> T:
    """Run a coroutine function with the session factory of the configured database."""
    return _run("session_factory", work)


def _run(name: str, work: Callable[[Any], Awaitable[T]]) -> T:
    from harken.services.providers import close_providers, container  # noqa: PLC0415

    async def run() -> T:
        try:
            return await work(await container.resolve(name))
        finally:
            await close_providers()

    return asyncio.run(run())


def escaped(text: str) -> str:
    """Return a text for the terminal: no part of it is markup, and control characters are shown."""
    return escape(printable(text))


def read_object(name: str, text: str) -> dict[str, Any]:
    """Return a JSON object; raises InvalidInput, with `name` as its field."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise InvalidInput(Problem(name, "is nested too deeply")) from None
    except ValueError as error:
        raise InvalidInput(Problem(name, f"is not JSON: {error}")) from None
    if not isinstance(value, dict):
        raise InvalidInput(Problem(name, "must be a JSON object"))
    return value


def check_new(path: Path, *, force: bool, name: str = "file") -> None:
    """Raise InvalidInput for a file that is already there, unless it may be replaced."""
    if not force and path.exists():
        raise InvalidInput(
            Problem(name, f"{path} is already there; give another name, or --force to replace it")
        )


def print_left_out(aside: Mapping[str, int]) -> None:
    """Print how much was left out because it is in quarantine, if anything was."""
    if aside.get("events"):
        named = ", ".join(
            several(count, name.removesuffix("s")) for name, count in aside.items() if count
        )
        console.print(f"Left out, since it is in quarantine: {named}.", highlight=False)


def tell(words: str, fields: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what a command did, as a sentence or as JSON."""
    if as_json:
        print_json(fields)
    else:
        console.print(words)


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    typer.echo(json.dumps(to_jsonable_python(value), indent=2, ensure_ascii=False))
