"""Child processes that are ended together with the task that started them."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

# -P: import the installed package, not a folder of the same name in the current directory.
HARKEN = (sys.executable, "-P", "-m", "harken")
"""The command line of this program."""

NICENESS = 10
GRACE_SECONDS = 5
LONGEST_LINE = 2**20
LONGEST_REASON = 200


class Ended(NamedTuple):
    """A program's exit code, as in `subprocess`, and the last line of its standard error."""

    code: int
    last_line: str


async def run_child(command: Sequence[str], say: Callable[[str], None]) -> Ended:
    """Run a program to its end at low priority, and call `say` with each line of its output.

    If the caller is cancelled, the program is ended before this returns. Raises OSError if the
    program cannot be started.
    """
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
        # Ctrl-C on a terminal must reach only the parent process, which ends this one itself.
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
    """The output of a program. `problem` says why the output is incomplete, else it is empty.

    `has_ended` is true if the program ended by itself or at its own limits. The same input would
    give the same result again.
    """

    output: bytes
    problem: str = ""
    has_ended: bool = True


async def ask_child(command: Sequence[str], given: bytes, seconds: float) -> Answer:
    """Send bytes to a program's standard input, and return its output.

    The program is ended before this returns if it takes longer than `seconds`, or if the caller
    is cancelled. The program limits its own memory. A failure is an `Answer` with a problem, never
    an exception.
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
    """Call `say` with each line of a stream, and return the last line."""
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
