"""The program of `rendered`: a K-Block's content of standard input becomes HTML, within limits."""

import json
import sys

from harken.protocols.pages.content import MOST_HTML, render

if sys.platform != "win32":
    import resource

PROCESSOR_SECONDS = 3
"""For a note. A megabyte of documentation takes one and a half."""
MEMORY_BYTES = 2 << 30


def main() -> None:
    """Read a source as JSON, and write its HTML; exit with 1 where that is too large."""
    _limit()
    source = json.load(sys.stdin.buffer)
    html = render(source)
    if len(html) > MOST_HTML:
        sys.exit("it is too large")
    sys.stdout.buffer.write(html.encode())


def _limit() -> None:
    # Windows has no such limits; there the time alone is limited, by whoever waits.
    if sys.platform != "win32":
        used = resource.getrusage(resource.RUSAGE_SELF)
        until = int(used.ru_utime + used.ru_stime) + 1 + PROCESSOR_SECONDS
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # By the lower limit it is told from others that are ended.
        resource.setrlimit(resource.RLIMIT_CPU, (until, until + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    main()
