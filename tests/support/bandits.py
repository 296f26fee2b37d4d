"""Policies with known values, and their logs."""

from typing import NamedTuple

import numpy as np

from harken.services.evaluation.off_policy import Estimate, Rows, Target, evaluate_policy

ITEMS, POSITIONS = 8, 3


class World(NamedTuple):
    """Two kinds of visit, each with its own logging policy and rewards; one target for both.

    Arrays are kind × item × position. With `kinds_differ` the log shows each kind of visit what it
    likes: then how often an item was shown is no substitute for how likely it was.
    """

    logging: np.ndarray
    rewards: np.ndarray
    target: np.ndarray  # item × position
    users: int
    each: int
    counted: int = 0  # rows of the log in which the target is counted; 0 if it is known

    @property
    def truth(self) -> float:
        """The target's mean reward per row; kinds of visit and positions are equally frequent."""
        return float((self.target * self.rewards).sum(axis=1).mean())


def softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=-2, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-2, keepdims=True))


def world(
    *,
    kinds_differ: bool = False,
    users: int = 120,
    each: int = 10,
    counted: int = 0,
    scale: float = 0.12,
) -> World:
    """Make a world; it is always the same."""
    chance = np.random.default_rng(5)
    liked = chance.normal(size=(2, ITEMS, 1)) * 0.8
    if not kinds_differ:
        liked[1] = liked[0]
    appeal = liked - np.log(1 + np.arange(POSITIONS))
    logging = softmax(0.6 * liked + 0.4 * chance.normal(size=(2, ITEMS, POSITIONS)))
    if not kinds_differ:
        logging[1] = logging[0]
    target = softmax(-0.5 * liked.mean(axis=0) + 0.5 * chance.normal(size=(ITEMS, POSITIONS)))
    return World(logging, np.minimum(scale * np.exp(appeal), 0.55), target, users, each, counted)


def draw(of: World, seed: int) -> tuple[Rows, Target]:
    """Make a log of the logging policy; readers differ in how readily they click."""
    chance = np.random.default_rng(seed)
    users = np.repeat(np.arange(of.users), of.each)
    size = len(users)
    kinds, positions = chance.integers(0, 2, size), chance.integers(0, POSITIONS, size)
    odds = of.logging[kinds, :, positions]
    items = (odds.cumsum(axis=1) < chance.random((size, 1))).sum(axis=1).clip(0, ITEMS - 1)
    readiness = chance.choice([0.3, 1.7], of.users)[users]
    rewards = chance.random(size) < readiness * of.rewards[kinds, items, positions]
    rows = Rows(
        items * POSITIONS + positions, rewards.astype(float), odds[np.arange(size), items], users
    )
    return rows, _target(of, chance)


def _target(of: World, chance: np.random.Generator) -> Target:
    places = np.tile(np.arange(POSITIONS), ITEMS)
    if not of.counted:
        return Target(of.target.ravel(), places)
    positions = chance.integers(0, POSITIONS, of.counted)
    sums = of.target[:, positions].cumsum(axis=0).T
    items = (sums < chance.random((of.counted, 1))).sum(axis=1).clip(0, ITEMS - 1)
    shown = items * POSITIONS + positions
    counts = np.bincount(shown, minlength=ITEMS * POSITIONS)
    shares = counts / np.bincount(places, counts)[places]
    return Target(shares, places, shown, np.arange(of.counted))


class Record(NamedTuple):
    """The errors of an estimator over many logs, relative to the truth."""

    bias: float
    error: float  # standard error of the bias
    spread: float  # root mean squared error
    coverage: float
    width: float


def record(found: list[Estimate], truth: float) -> Record:
    values = np.array([each.value for each in found]) / truth
    bounds = np.array([each.interval for each in found]) / truth
    return Record(
        float(values.mean() - 1),
        float(values.std() / len(values) ** 0.5),
        float(((values - 1) ** 2).mean() ** 0.5),
        float(((bounds[:, 0] <= 1) & (bounds[:, 1] >= 1)).mean()),
        float((bounds[:, 1] - bounds[:, 0]).mean()),
    )


def trials(of: World, rounds: int, draws: int = 1_000, first: int = 0) -> dict[str, Record]:
    """Estimate the target from many logs with each estimator."""
    found: dict[str, list[Estimate]] = {}
    for seed in range(first, first + rounds):
        value = evaluate_policy(*draw(of, seed), draws=draws, seed=seed)
        for name, estimate in value.estimates.items():
            found.setdefault(name, []).append(estimate)
    return {name: record(each, of.truth) for name, each in found.items()}
