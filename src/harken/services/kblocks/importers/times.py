"""When something was written, by what people and their tools say about it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from harken.domain.times import in_utc, is_zero_time
from harken.errors import InvalidInput, Problem
from harken.services.kblocks.importers.folders import normal
from harken.services.kblocks.importers.run import Failure

GIT_TIMEOUT_SECONDS = 60

_SPACED_OFFSET = re.compile(r"\s+(?=(?:[+-]\d\d:?\d\d|Z)$)")


def parse_time(text: str) -> datetime:
    """Read a time or a date; without an offset it is UTC. Raises ValueError."""
    at = datetime.fromisoformat(_SPACED_OFFSET.sub("", text.strip()))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


class Listed(NamedTuple):
    """Times by path, the lines that say something else, and how many times stand for none."""

    times: dict[str, datetime]
    wrong: list[Failure]
    zeros: int


def listed(file: Path) -> Listed:
    """Read a list of times: a time, a tab and a path on each line.

    Raises InvalidInput where there is no such file.
    """
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise InvalidInput(Problem("created_from", f"{file}: {error.strerror}")) from None
    except UnicodeDecodeError:
        raise InvalidInput(Problem("created_from", f"{file}: must be UTF-8")) from None
    times: dict[str, datetime] = {}
    wrong: list[Failure] = []
    zeros = 0
    for number, line in enumerate(lines, 1):
        time, _, path = line.partition("\t")
        try:
            if line.strip() and is_zero_time(at := parse_time(time)):
                zeros += 1
            elif line.strip() and in_utc(at):
                times[normal(path.strip())] = at
        except ValueError:
            reason = "must be a time such as 2025-12-25T10:30:00Z, a tab, and a path"
            wrong.append(Failure(f"{file}, line {number}", reason, path=""))
    return Listed(times, wrong, zeros)


def from_git(folder: Path) -> dict[str, datetime]:
    """Return when the files of a folder were added, as git has it, by their relative paths.

    A renamed file was added when it had its first name. Empty where git is not installed, the
    folder is in no work tree, or git takes longer than a minute.
    """
    git = shutil.which("git")
    if git is None:
        return {}
    # The repository may be anybody's: nothing that its configuration names is run, and nothing is
    # fetched for it.
    command = [
        git, "--no-pager", "-c", "log.showSignature=false", "-c", "core.fsmonitor=false",
        "log", "--reverse", "--relative", "--name-status", "-M", "--diff-filter=AR", "-z",
        "--no-ext-diff", "--no-textconv", "--no-color", "--format=%x01%aI", "--", ".",
    ]  # fmt: skip
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    own |= {
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }
    try:
        done = subprocess.run(  # noqa: S603 — nothing in the command comes from outside
            command,
            cwd=folder,
            env=own,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=GIT_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return _added(iter(done.stdout.split(b"\0"))) if done.returncode == 0 else {}


def _added(words: Iterator[bytes]) -> dict[str, datetime]:
    """Read git's words, oldest first: byte 1 and a time, then `A` and a path, or `R…` and two."""
    times: dict[str, datetime] = {}
    at: datetime | None = None
    for word in words:
        status = word.lstrip(b"\n")
        if status.startswith(b"\1"):
            at = _time(status[1:])
        elif status == b"A":
            path = _path(next(words, b""))
            if at is not None:
                times.setdefault(path, at)
        elif status.startswith(b"R"):
            before, path = _path(next(words, b"")), _path(next(words, b""))
            if (first := times.get(before, at)) is not None:
                times[path] = first
    return times


def _time(text: bytes) -> datetime | None:
    try:
        at = parse_time(text.decode("ascii"))
        return None if is_zero_time(at) or not in_utc(at) else at
    except ValueError:
        return None


def _path(raw: bytes) -> str:
    return normal(os.fsdecode(raw))
