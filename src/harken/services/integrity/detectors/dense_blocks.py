"""Dense blocks: a set of readers who all touched the same set of K-Blocks, at whatever times.

As in FRAUDAR (Hooi et al., KDD 2016), a touch counts by the logarithm of how unusual it is: it is
worth much where a reader with few touches touched a K-Block that few others did. A block grows from
a pair of K-Blocks that share more readers than chance explains. Then readers and K-Blocks are taken
in or out by the gain in likelihood of a block with this density over independent touches, minus the
cost of naming them among all (minimum description length), until nothing changes.

Readers of one team form such blocks too. A block is held against its readers only if it is unlike a
team's in two figures. Its *density* is the share of its readers and K-Blocks that touched each
other; a team touches at most 70 % of what it has in common. A *lone* touch has nobody outside of
the block at the K-Block within 12 hours; the share of lone touches is compared with that in the
log. The evidence is the divergence of both shares from the usual ones, times the number of touches
(the exponent of Chernoff's bound), halved because touches are correlated. An alert needs evidence
above ln(blocks tried · readers of the block / false alarms allowed).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from harken.services.integrity.detectors.event_log import HOUR, EventLog, Flags, Floats, Numbers
from harken.services.integrity.detectors.findings import Alert, Case, Evidence, Finding, Kind
from harken.services.integrity.detectors.measures.chance import divergence
from harken.services.integrity.detectors.measures.touches import Touches, ranges

MOST_SEEDS = 400
"""Pairs of K-Blocks from which blocks are grown."""
MOST_ROUNDS = 6
MOST_TOUCHES = 60
"""K-Blocks are paired by the readers with at most so many touches; pairs of others say little."""
LEAST_SHARED = 4
LEAST_COVERED, LEAST_COVERAGE = 2, 0.4
"""A reader (K-Block) is tried if it touches at least so many of the block, and such a share."""
SEED_GAIN = 8.0
"""The least gain in likelihood of a pair that a block grows from, in nats."""
USUAL_DENSITY = 0.7
CORRELATION = 2.0
APART = 12 * HOUR
MOST_CHANCE = 0.9
LN_10 = float(np.log(10))


class Block(NamedTuple):
    """Readers and K-Blocks with the gain of each reader, in nats."""

    readers: Numbers
    kblocks: Numbers
    gains: Floats


class _Unusual(NamedTuple):
    """How unlike a team a block is: `evidence` in nats, with its figures."""

    evidence: float
    density: float
    lone: float
    touches: Numbers


@dataclass(frozen=True)
class DenseBlocks:
    """Finds blocks of `least_ring` readers or more and `least_kblocks` K-Blocks or more."""

    name: str = "dense_blocks"
    accuses: bool = True
    least_ring: int = 5
    least_kblocks: int = 2

    def find(self, case: Case) -> Finding:
        """Return an alert for each block, and how unusual each reader's most unusual block is."""
        log, touches = case.log, case.touches
        surprise = np.zeros(len(log.reader_ids))
        if len(touches) < self.least_ring * self.least_kblocks:
            return Finding([], surprise)
        usual = lone_share(touches)
        alerts: list[Alert] = []
        accused = np.zeros(len(log.reader_ids), np.bool_)
        for block, found in self._unusual_blocks(case, touches, usual):
            tests = MOST_SEEDS * len(block.readers) / len(log.reader_ids)
            strength = found.evidence / LN_10 - float(np.log10(tests))
            own = max(found.evidence, 0.0) / LN_10 * _coverage(touches, block)
            surprise[block.readers] = np.maximum(surprise[block.readers], own)
            if strength > case.least_strength and not accused[block.readers].all():
                accused[block.readers] = True
                alerts.append(self._alert(log, touches, block, found, usual, strength))
        return Finding(alerts, surprise)

    def _unusual_blocks(
        self, case: Case, touches: Touches, usual: float
    ) -> list[tuple[Block, _Unusual]]:
        found = [
            (block, unusual(touches, block, usual, len(case.log.reader_ids)))
            for block in blocks(touches, case.settings.most_pairs, case.settings.since)
            if len(block.readers) >= self.least_ring and len(block.kblocks) >= self.least_kblocks
        ]
        since = case.since
        found = [each for each in found if touches.at[each[1].touches].max() >= since]
        return sorted(found, key=lambda each: -each[1].evidence)

    def _alert(
        self, log: EventLog, touches: Touches, block: Block, found: _Unusual, usual: float,
        strength: float,
    ) -> Alert:  # fmt: skip
        times = touches.at[found.touches]
        figures = {
            "readers": len(block.readers),
            "kblocks": len(block.kblocks),
            "density": round(found.density, 3),
            "lone_touches": round(found.lone, 3),
            "usual_lone_touches": round(usual, 3),
            "share_of_audience": round(
                len(found.touches) / int(touches.kblock_counts[block.kblocks].sum()), 3
            ),
            "log10_p": round(-found.evidence / LN_10, 2),
        }
        words = (
            f"{len(block.readers)} readers touched {found.density:.0%} of the same "
            f"{len(block.kblocks)} K-Blocks, and {found.lone:.0%} of these touches were made while "
            f"nobody else was there (usual: {usual:.0%})."
        )
        first = int(block.readers[np.argmax(block.gains)])
        return Alert(
            self.name, Kind.READER, log.reader_ids[first],
            tuple(log.reader_ids[each] for each in block.readers),
            strength, int(times.min()), int(times.max()),
            Evidence(words, figures),
        )  # fmt: skip


def lone_share(touches: Touches) -> float:
    """Return the share of touches that have no other touch of the K-Block within 12 hours."""
    return float(np.clip((touches.near(APART) == 0).mean(), 0.02, 0.9))


def unusual(touches: Touches, block: Block, usual: float, readers: int) -> _Unusual:
    """Return how much a block differs from a team's; `usual` is the lone share of the log."""
    inside = np.zeros(readers, np.bool_)
    inside[block.readers] = True
    places = touches.places_of_kblocks(block.kblocks)
    own = inside[touches.readers[places]]
    mine, others = places[own], places[~own]
    density = len(mine) / (len(block.readers) * len(block.kblocks))
    lone = float((_count_near(touches, mine, others) == 0).mean())
    exponent = divergence(lone, usual)
    if len(block.kblocks) > LEAST_COVERED:
        # The readers of two K-Blocks are those who touched both: the density is 1 anyway.
        exponent += divergence(density, USUAL_DENSITY)
    return _Unusual(len(mine) * exponent / CORRELATION, density, lone, mine)


def _count_near(touches: Touches, places: Numbers, others: Numbers) -> Numbers:
    """Return how many of `others` are at the same K-Block as each place, within 12 hours."""
    moments = np.unique(touches.at[others])
    scale = len(moments) + 1
    keys = np.sort(
        touches.kblocks[others] * scale + np.searchsorted(moments, touches.at[others], "left")
    )
    base, at = touches.kblocks[places] * scale, touches.at[places]
    low = base + np.searchsorted(moments, at - APART, "left")
    high = base + np.searchsorted(moments, at + APART, "right")
    return np.asarray(np.searchsorted(keys, high) - np.searchsorted(keys, low), np.int64)


def _coverage(touches: Touches, block: Block) -> Floats:
    """Return the share of the block's K-Blocks that each of its readers touched."""
    readers = touches.readers[touches.places_of_kblocks(block.kblocks)]
    counts = np.bincount(readers, minlength=len(touches.reader_counts))[block.readers]
    return np.asarray(counts / len(block.kblocks), np.float64)


def blocks(touches: Touches, most_pairs: int, since: int | None = None) -> Iterator[Block]:
    """Yield blocks, those of the most surprising pairs of K-Blocks first.

    With `since`, only pairs of which one was touched since then are tried.
    """
    done: set[tuple[int, int]] = set()
    for pair in _seeds(touches, most_pairs, since):
        if pair in done:
            continue
        block = _grown(touches, pair)
        if block is not None:
            members = block.kblocks.tolist()
            done.update((a, b) for a in members for b in members if a < b)
            yield block


def _seeds(touches: Touches, most_pairs: int, since: int | None) -> list[tuple[int, int]]:
    """Return the pairs of K-Blocks with the most surprising numbers of common readers."""
    counts, size = touches.reader_counts, len(touches.kblock_counts)
    recent = np.ones(size, np.bool_)
    involved = np.ones(len(counts), np.bool_)
    if since is not None:
        recent[:] = False
        recent[touches.kblocks[touches.at >= since]] = True
        involved[:] = False
        involved[touches.readers[recent[touches.kblocks]]] = True
    limit = MOST_TOUCHES
    while limit > 2 and (counts[involved & (counts <= limit)] ** 2).sum() / 2 > most_pairs:
        limit -= 2
    few = touches.of_reader[counts[touches.readers[touches.of_reader]] <= limit]
    first, second, shared = _shared_readers(touches, few, recent, involved, limit)
    # What chance explains is counted over all readers, whoever was looked at.
    audience = np.bincount(touches.kblocks[few], minlength=size)
    of_each = np.bincount(touches.readers[few], minlength=len(counts)).astype(np.float64)
    mixing = (of_each**2).sum() / max(len(few), 1) ** 2
    expected = audience[first] * audience[second] * mixing
    gain = shared * np.log(shared / expected) - (shared - expected)
    gain[shared < expected] = 0
    order = np.argsort(-gain, kind="stable")[:MOST_SEEDS]
    return [(int(first[i]), int(second[i])) for i in order if gain[i] >= SEED_GAIN]


def _shared_readers(
    touches: Touches, few: Numbers, recent: Flags, involved: Flags, limit: int
) -> tuple[Numbers, Numbers, Numbers]:
    """Return pairs of K-Blocks, one of them recent, and how many involved readers they share."""
    size = len(touches.kblock_counts)
    few = few[involved[touches.readers[few]]]
    readers, kblocks = touches.readers[few], touches.kblocks[few]
    keys: list[Numbers] = [np.zeros(0, np.int64)]
    alive = np.arange(len(few))
    for step in range(1, limit):
        alive = alive[alive + step < len(few)]
        alive = alive[readers[alive + step] == readers[alive]]
        a, b = kblocks[alive], kblocks[alive + step]
        new = recent[a] | recent[b]
        keys.append(np.minimum(a[new], b[new]) * size + np.maximum(a[new], b[new]))
    pairs, shared = np.unique(np.concatenate(keys), return_counts=True)
    often = shared >= LEAST_SHARED
    return pairs[often] // size, pairs[often] % size, shared[often]


def _grown(touches: Touches, pair: tuple[int, int]) -> Block | None:
    """Grow a block from two K-Blocks; None if nothing is left of it."""
    kblocks: Numbers = np.array(pair, np.int64)
    density = MOST_CHANCE
    held = [
        touches.readers[touches.starts[each] : touches.starts[each + 1]] for each in kblocks
    ]  # fmt: skip
    readers: Numbers = np.intersect1d(held[0], held[1])
    for _ in range(MOST_ROUNDS):
        kblocks = _fitting_kblocks(touches, readers, len(kblocks), density)
        if len(kblocks) < LEAST_COVERED:
            return None
        before = readers
        readers, gains, density = _fitting_readers(touches, readers, kblocks, density)
        if len(readers) < LEAST_SHARED:
            return None
        if np.array_equal(before, readers):
            break
    return Block(readers, kblocks, gains)


def _fitting_kblocks(
    touches: Touches, readers: Numbers, named: int, density: float
) -> Numbers:  # fmt: skip
    """Return the K-Blocks that a block with these readers gains by; `named` is their number now."""
    size = len(touches.kblock_counts)
    places = touches.places_of_readers(readers)
    held = np.bincount(touches.kblocks[places], minlength=size)
    tried = np.flatnonzero(held >= max(LEAST_COVERED, LEAST_COVERAGE * len(readers)))
    outside = (touches.kblock_counts[tried] - held[tried] + 1).astype(np.float64)
    gains = _gains(touches, readers, tried, outside, density)
    return np.asarray(tried[gains.sum(0) > np.log(size / max(named, 1))], np.int64)


def _fitting_readers(
    touches: Touches, readers: Numbers, kblocks: Numbers, density: float
) -> tuple[Numbers, Floats, float]:
    """Return the readers that a block of these K-Blocks gains by, their gains, and its density."""
    count = len(touches.reader_counts)
    inside = np.zeros(count, np.bool_)
    inside[readers] = True
    audience = touches.readers[touches.places_of_kblocks(kblocks)]
    held = np.bincount(audience, minlength=count)
    tried = np.flatnonzero(held >= max(LEAST_COVERED, LEAST_COVERAGE * len(kblocks)))
    of_each = np.repeat(np.arange(len(kblocks)), touches.kblock_counts[kblocks])
    own = np.bincount(of_each[inside[audience]], minlength=len(kblocks))
    outside = (touches.kblock_counts[kblocks] - own + 1).astype(np.float64)
    cost = np.log(count / max(len(readers), 1))
    gains = _gains(touches, tried, kblocks, outside, density).sum(1) - cost
    fit = gains > 0
    share = held[tried[fit]].mean() / len(kblocks) if fit.any() else 0.0
    return tried[fit], gains[fit], float(np.clip(share, 0.5, 0.97))


def _gains(
    touches: Touches, readers: Numbers, kblocks: Numbers, outside: Floats, density: float
) -> Floats:
    """Return the log-likelihood ratio of each cell (readers × K-Blocks), block over chance."""
    counts = touches.reader_counts[readers].astype(np.float64)
    chance = np.minimum(MOST_CHANCE, np.outer(counts, outside) / len(touches))
    touched = np.zeros(chance.shape, np.bool_)
    row = np.full(len(touches.reader_counts), -1)
    row[readers] = np.arange(len(readers))
    of_each = touches.kblock_counts[kblocks]
    places = ranges(touches.starts[kblocks], touches.starts[kblocks + 1])
    rows, columns = row[touches.readers[places]], np.repeat(np.arange(len(kblocks)), of_each)
    touched[rows[rows >= 0], columns[rows >= 0]] = True
    return np.where(touched, np.log(density / chance), np.log((1 - density) / (1 - chance)))
