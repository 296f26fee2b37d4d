"""A model: events and statistics over several databases, by reader, where one is not enough.

    python -m benchmarks.reader_partitions

A database has the log, the rows and the pairs of its own readers, and a copy of all counts of
K-Blocks. Every `--every` seconds it sends the others what its events added to each K-Block, and
adds what they sent; or an aggregator adds up what all have sent, and each database gets one sum
for each K-Block. An event costs a database `--event` microseconds, a K-Block in what it gets
`--merge`. Readers and K-Blocks have shares by Zipf's law (of a flatter one for readers: a person
can only do so much in a second); all values are expected ones. A number of databases is enough
while the busiest of them is at most `--most` busy. Nothing of this is built: it says where it ends.
"""

import argparse
import json
import sys
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

READERS, KBLOCKS = 10_000_000, 1_000_000
RATES = (1_000, 10_000, 100_000, 1_000_000)
PARTITIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


Shares = NDArray[np.float64]


class Costs(NamedTuple):
    """Seconds of a database's processors: of an event, and of a K-Block's counts from elsewhere."""

    event: float
    merge: float


def main() -> None:
    """Print what each rate and number of databases comes to, as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--event", type=float, default=105.0)
    parser.add_argument("--merge", type=float, default=40.0)
    parser.add_argument("--cores", type=int, default=16, help="of each database's machine")
    parser.add_argument("--most", type=float, default=0.7, help="part of its cores' time")
    parser.add_argument("--reader-exponent", type=float, default=0.6)
    parser.add_argument("--kblock-exponent", type=float, default=1.0)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between what is sent")
    options = parser.parse_args()
    readers = _shares(options.reader_exponent, READERS)
    items = _shares(options.kblock_exponent, KBLOCKS)
    costs = Costs(options.event / 1e6, options.merge / 1e6)
    rows = []
    for rate in RATES:
        events = rate * options.every
        for count in PARTITIONS:
            own, sent, summed = _busiest(readers, items, count, events)
            spent = {
                "to all": own * costs.event + sent * costs.merge,
                "by an aggregator": own * costs.event + summed * costs.merge,
            }
            for way, seconds in spent.items():
                busy = seconds / (options.every * options.cores)
                rows.append(
                    {"events a second": rate, "databases": count, "sums are sent": way,
                     "busiest": round(busy, 3), "is enough": busy <= options.most}
                )  # fmt: skip
    sys.stdout.write(json.dumps(rows, indent=2) + "\n")


def _shares(exponent: float, size: int) -> Shares:
    """Return shares of all events by rank: the inverse of the rank to a power, with a sum of 1."""
    weights = np.arange(1, size + 1, dtype=np.float64) ** -exponent
    return np.asarray(weights / weights.sum())


def _busiest(
    readers: Shares, items: Shares, count: int, events: float
) -> tuple[float, float, float]:
    """Return what the busiest database expects: its own events, and K-Blocks it gets in two ways.

    From all others, where each sends its own sums; and from an aggregator. A K-Block with a share
    s of n events that are drawn independently is among them with the probability 1 - exp(-s n).
    """
    # A mixing of the bits, as a hash of the id would do.
    mixed = np.arange(readers.size, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    homes = ((mixed >> np.uint64(40)) % np.uint64(count)).astype(np.int64)
    own = np.bincount(homes, weights=readers, minlength=count)
    if count == 1:
        return events, 0.0, 0.0
    of_each = float(-np.expm1(-items * events / count).sum())
    summed = float(-np.expm1(-items * events).sum())
    return float(own.max()) * events, (count - 1) * of_each, summed


if __name__ == "__main__":
    main()
