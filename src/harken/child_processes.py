"""Programs that run beside this one, and never outlive the wish for them."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

NICENESS = 10
GRACE_SECONDS = 5
LONGEST_LINE = 2**20
LONGEST_REASON = 200


class Ended(NamedTuple):
    """How a program ended, as `subprocess` has it, and the last line of its standard error."""

    code: int
    last_words: str


async def run_child(command: Sequence[str], say: Callable[[str], None]) -> Ended:
    """Run a program to its end, at low priority; each line of its output is handed over.

    Where the caller is cancelled meanwhile, the program is ended, and is gone when this returns.
    Raises OSError where it cannot be started.
    """
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
        # Ctrl-C on a terminal reaches whoever started this; they end it in their own time.
        start_new_session=True,
    )
    try:
        _yield_to_others(child.pid)
        async with asyncio.TaskGroup() as group:
            group.create_task(_relay(child.stdout, say))
            errors = group.create_task(_relay(child.stderr, say))
        return Ended(await child.wait(), errors.result())
    finally:
        await _end(child)


class Answer(NamedTuple):
    """What a program wrote, and why that is not all of it; no problem is an empty text.

    `has_ended` is whether it ended by itself, or by its own limits: it would do so again.
    """

    output: bytes
    problem: str = ""
    has_ended: bool = True


async def ask_child(command: Sequence[str], given: bytes, seconds: float) -> Answer:
    """Hand bytes to a program, and return what it answers, if it does in so many seconds.

    Where it takes longer, or the caller is cancelled meanwhile, the program is ended, and is gone
    when this returns. It limits its own memory. Raises nothing for what becomes of it.
    """
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        return Answer(b"", f"it cannot be started ({error.strerror})", has_ended=False)
    try:
        async with asyncio.timeout(seconds):
            output, errors = await child.communicate(given)
    except TimeoutError:
        return Answer(b"", f"it took more than {seconds:g} seconds", has_ended=False)
    finally:
        await _end(child)
    return Answer(output, _why(child.returncode or 0, errors))


def _why(code: int, errors: bytes) -> str:
    if code < 0:
        return f"it was ended by signal {-code}"
    lines = errors.decode("utf-8", "replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), f"exit code {code}")
    return last.strip()[:LONGEST_REASON] if code else ""


async def _relay(stream: asyncio.StreamReader | None, say: Callable[[str], None]) -> str:
    """Hand over the lines of a stream, and return the last."""
    last = ""
    if stream is not None:
        async for line in stream:
            if text := line.decode("utf-8", "replace").rstrip():
                last = text
                say(text)
    return last


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _yield_to_others(pid: int) -> None:
    if hasattr(os, "setpriority"):  # not on Windows
        with contextlib.suppress(OSError):  # it may be gone already
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, pid, min(own + NICENESS, 19))
