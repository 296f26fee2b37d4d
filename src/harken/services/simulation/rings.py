"""Simulated attacks: rings of accounts that push K-Blocks, planted into a real log.

The times are those of the log itself: a moment of an attack is the time of a real event, so that
hours of the day and busy days are as they are.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from harken.domain.feedback import FeedbackAction
from harken.services.integrity.detectors.event_log import (
    ACTIONS,
    DAY,
    HOUR,
    MICROS,
    NONE,
    EventLog,
    Numbers,
)

VIEW, ENGAGE = ACTIONS.index(FeedbackAction.VIEW), ACTIONS.index(FeedbackAction.ENGAGE)
PREFIX = "ring-"
FRESH = 14 * DAY
"""K-Blocks that were first seen so long before an attack are its targets."""
DRIP = 21 * DAY
APART = 12 * HOUR
ENGAGED = 0.5
DRIPPED = 0.8


class Strength(StrEnum):
    """How well a ring hides."""

    MINUTES = "minutes"
    JITTER = "jitter"
    DRIP = "drip"


@dataclass(frozen=True)
class Attack:
    """A ring: its accounts, its targets, how it hides, and how many real touches it copies.

    MINUTES: all accounts touch each target within five minutes, and nothing else. JITTER: within an
    hour. DRIP: each account touches each target with probability 0.8, at any time in three weeks.
    With the latter two, each account also copies `camouflage` real touches of these weeks, moved by
    up to an hour. Half of all touches of targets are followed by an engagement.
    """

    strength: Strength
    accounts: int = 30
    targets: int = 5
    camouflage: int = 12


class Planted(NamedTuple):
    """The log with a ring in it, its accounts, its targets and the time of its first event."""

    log: EventLog
    accounts: frozenset[str]
    targets: Numbers
    start: int


class _Events(NamedTuple):
    """Events of a ring; each has the shape events."""

    accounts: Numbers
    kblocks: Numbers
    at: Numbers
    actions: Numbers


def plant(log: EventLog, attack: Attack, seed: int) -> Planted:
    """Return a log with a ring planted at a random time that leaves four weeks on either side.

    Raises ValueError if the log is too short or has too few fresh K-Blocks then.
    """
    rng = np.random.default_rng(seed)
    start, targets = _moment(log, attack, rng)
    promoted = _promotion(log, attack, start, targets, rng)
    parts = [promoted]
    if attack.strength is not Strength.MINUTES:
        parts.append(_camouflage(log, attack, start, rng))
    own = _Events(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    accounts = tuple(f"{PREFIX}{number}" for number in range(attack.accounts))
    at = np.concatenate([log.at, own.at])
    order = np.argsort(at, kind="stable")
    nothing = np.full(len(own.at), NONE)

    def merged(column: Numbers, added: Numbers) -> Numbers:
        return np.concatenate([column, added])[order]

    with_ring = replace(
        log,
        reader_ids=log.reader_ids + accounts,
        readers=merged(log.readers, own.accounts + len(log.reader_ids)),
        kblocks=merged(log.kblocks, own.kblocks),
        sessions=merged(log.sessions, nothing),
        actions=merged(log.actions, own.actions),
        at=at[order],
        dwells=merged(log.dwells, nothing),
    )
    return Planted(with_ring, frozenset(accounts), targets, int(promoted.at.min()))


def _moment(log: EventLog, attack: Attack, rng: np.random.Generator) -> tuple[int, Numbers]:
    inner = log.at[(log.at > log.at[0] + 28 * DAY) & (log.at < log.at[-1] - 28 * DAY)]
    if not len(inner):
        raise ValueError("the log is too short for an attack with four weeks on either side")
    begun = np.full(len(log.kblock_ids), np.iinfo(np.int64).max)
    np.minimum.at(begun, log.kblocks, log.at)
    start = int(rng.choice(inner))
    fresh = np.flatnonzero((begun <= start) & (begun > start - FRESH))
    if len(fresh) < attack.targets:
        raise ValueError(f"only {len(fresh)} K-Blocks are fresh at the time of the attack")
    return start, rng.choice(fresh, attack.targets, replace=False)


def _promotion(
    log: EventLog, attack: Attack, start: int, targets: Numbers, rng: np.random.Generator
) -> _Events:
    accounts = np.repeat(np.arange(attack.accounts), attack.targets)
    kblocks = np.tile(targets, attack.accounts)
    if attack.strength is Strength.DRIP:
        during = log.at[(log.at >= start) & (log.at < start + DRIP)]
        at = rng.choice(during, len(accounts)) + rng.integers(0, HOUR, len(accounts))
        kept = rng.random(len(accounts)) < DRIPPED
    else:
        within = HOUR if attack.strength is Strength.JITTER else 5 * 60 * MICROS
        later = log.at[(log.at >= start) & (log.at < start + attack.targets * APART)]
        moments = rng.choice(later, attack.targets)
        at = np.tile(moments, attack.accounts) + rng.integers(0, within, len(accounts))
        kept = np.ones(len(accounts), np.bool_)
    accounts, kblocks, at = accounts[kept], kblocks[kept], at[kept]
    engaged = rng.random(len(at)) < ENGAGED
    later_at = at[engaged] + rng.integers(5, 60, int(engaged.sum())) * MICROS
    return _Events(
        np.concatenate([accounts, accounts[engaged]]),
        np.concatenate([kblocks, kblocks[engaged]]),
        np.concatenate([at, later_at]),
        np.concatenate([np.full(len(at), VIEW), np.full(len(later_at), ENGAGE)]),
    )


def _camouflage(
    log: EventLog, attack: Attack, start: int, rng: np.random.Generator
) -> _Events:  # fmt: skip
    near = np.flatnonzero((log.at > start - 7 * DAY) & (log.at < start + DRIP))
    copied = rng.choice(near, attack.accounts * attack.camouflage)
    moved = log.at[copied] + rng.integers(-HOUR, HOUR, len(copied))
    # A K-Block cannot be touched before it was there.
    begun = np.full(len(log.kblock_ids), np.iinfo(np.int64).max)
    np.minimum.at(begun, log.kblocks, log.at)
    return _Events(
        np.repeat(np.arange(attack.accounts), attack.camouflage),
        log.kblocks[copied],
        np.maximum(moved, begun[log.kblocks[copied]]),
        np.full(len(copied), VIEW),
    )
