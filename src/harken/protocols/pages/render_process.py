"""The program that renders one K-Block in a process with limits; `note_rendering` starts it."""

import json
import sys

from harken.protocols.pages.content import MOST_HTML, render

if sys.platform != "win32":
    import resource

PROCESSOR_SECONDS = 3
"""CPU time for one note; a megabyte of documentation takes 1.5 s."""
MEMORY_BYTES = 2 << 30


def main() -> None:
    """Read a source as JSON from standard input and write its HTML; exit code 1 if too large."""
    _limit()
    source = json.load(sys.stdin.buffer)
    html = render(source)
    if len(html) > MOST_HTML:
        sys.exit("the HTML is too large")
    sys.stdout.buffer.write(html.encode())


def _limit() -> None:
    # Windows has no such limits; there only the parent process limits the time.
    if sys.platform != "win32":
        used = resource.getrusage(resource.RUSAGE_SELF)
        until = int(used.ru_utime + used.ru_stime) + 1 + PROCESSOR_SECONDS
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # The soft limit ends the process with SIGXCPU, by which the parent recognises the reason.
        resource.setrlimit(resource.RLIMIT_CPU, (until, until + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    main()
