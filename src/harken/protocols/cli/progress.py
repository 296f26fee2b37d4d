"""The progress of long commands on standard error: a bar on a terminal, else a line at times."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harken.protocols.cli.running import messages

Report = Callable[[int, int], None]
"""Called with what is done, and with all there is to do."""

SECONDS = 15.0
"""The time between two lines where there is no terminal. A faster command prints none."""


@contextmanager
def progress(what: str, total: int, unit: str = "events") -> Iterator[Report]:
    """Show the progress of `what` within the context; yields what to report it by."""
    if not messages.is_terminal:
        yield _Lines(what, unit)
        return
    bar = Progress(
        TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=messages,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=total)
        yield lambda done, size: bar.update(task, completed=done, total=size)


class _Lines:
    """Prints a line when `SECONDS` have passed since the last one."""

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit = what, unit
        self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now < self._last + SECONDS:
            return
        self._last = now
        share = f" ({done / total:.0%})" if total else ""
        messages.print(f"{self._what}: {done:,} of {total:,} {self._unit}{share}", highlight=False)
