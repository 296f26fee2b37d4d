"""Creation times of files: from a list of times, and from git."""

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
from harken.services.kblocks.importers.run import ImportFailure

GIT_TIMEOUT_SECONDS = 60

_SPACED_OFFSET = re.compile(r"\s+(?=(?:[+-]\d\d:?\d\d|Z)$)")


def parse_time(text: str) -> datetime:
    """Parse an ISO 8601 time or date; without an offset it is UTC. Raises ValueError."""
    at = datetime.fromisoformat(_SPACED_OFFSET.sub("", text.strip()))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


class TimeList(NamedTuple):
    """Times by path, a failure for each invalid line, and the number of zero times."""

    times: dict[str, datetime]
    wrong: list[ImportFailure]
    zeros: int


def read_time_list(file: Path) -> TimeList:
    """Read a list of times: a time, a tab and a path on each line.

    Raises InvalidInput if the file cannot be read.
    """
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise InvalidInput(Problem("created_from", f"{file}: {error.strerror}")) from None
    except UnicodeDecodeError:
        raise InvalidInput(Problem("created_from", f"{file}: must be UTF-8")) from None
    times: dict[str, datetime] = {}
    wrong: list[ImportFailure] = []
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
            wrong.append(ImportFailure(f"{file}, line {number}", reason, path=""))
    return TimeList(times, wrong, zeros)


def from_git(folder: Path) -> dict[str, datetime]:
    """Return the times at which git says that files of a folder were added, by relative path.

    A renamed file counts from its first name on. The result is empty if git is not installed, the
    folder is not in a work tree, or git takes longer than a minute.
    """
    git = shutil.which("git")
    if git is None:
        return {}
    # The repository is untrusted: no program of its configuration is run, and nothing is fetched.
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
    """Parse git's output, oldest first: byte 1 and a time, then `A` and a path, or `R…` and two."""
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
