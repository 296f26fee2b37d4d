"""The state that features are made of: its size, and the cost of an event, as a log grows.

    python -m benchmarks.feature_state
    python -m benchmarks.feature_state --events 20000 100000

Logs are those of `benchmarks.training`, with a tenth as many K-Blocks as events and 20,000 readers.
One process takes the events of a log one after the other, as a server does; what an event costs is
processor time, of the last 20,000. Bytes are those of the pairs of readers, with the tables and the
numbers in them. Pairs take nothing for a K-Block.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.training import Size, make
from harken.services.features.state import Features
from harken.services.readers.co_engagement import Floats, Numbers
from harken.services.readers.reader_pairs import ReaderPairs

LATEST = 20_000
READERS = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.feature_state",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--seed", type=int, default=20_251_225)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    options = parser.parse_args()
    found = [_measure(events, options.seed) for events in options.events]
    for name in found[0]:
        row = " | ".join(f"{each[name]:,.1f}" for each in found)
        sys.stdout.write(f"| {name} | {row} |\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))
    return 0


def _measure(events: int, seed: int) -> dict[str, float]:
    log = [each.touch for each in make(Size(events, events // 10, READERS), seed)]
    features, pairs = Features(), _Timed()
    features.pairs = pairs
    for touch in log[:-LATEST]:
        features.see(touch)
    pairs.seconds, began = 0.0, time.process_time()
    for touch in log[-LATEST:]:
        features.see(touch)
    ended = time.process_time()
    sizes = pairs.sizes()
    bytes_of = pairs.bytes_of()
    return {
        "events": events,
        "an event (µs)": (ended - began) / LATEST * 1e6,
        "of these for pairs (µs)": pairs.seconds / LATEST * 1e6,
        "readers": len(sizes),
        "pairs of a reader, median": float(np.median(sizes)),
        "pairs of a reader, most": float(max(sizes)),
        "bytes of a reader's pairs, mean": float(np.mean(bytes_of)),
        "bytes of a reader's pairs, most": float(max(bytes_of)),
    }


class _Timed(ReaderPairs):
    """Pairs that time their updates and know their size."""

    seconds = 0.0

    def meet(self, reader: int, at: float, others: Numbers, then: Floats) -> None:
        """Time an update."""
        began = time.process_time()
        super().meet(reader, at, others, then)
        self.seconds += time.process_time() - began

    def sizes(self) -> list[int]:
        """Return the number of pairs of each reader."""
        return [len(each) for each in self._pairs.values()]

    def bytes_of(self) -> list[int]:
        """Return the bytes of each reader's pairs: the table, its keys and its values."""
        return [
            sum(map(sys.getsizeof, (each, *each, *each.values()))) for each in self._pairs.values()
        ]


if __name__ == "__main__":
    raise SystemExit(main())
