"""Slates sampled by known scores; readers stop at the first item that they like."""

from itertools import permutations

import numpy as np

from harken.domain.exploration import propensities, sample
from harken.services.evaluation.off_policy import Estimate
from harken.services.evaluation.slate_policies import SampledSlate, evaluate_slates
from tests.support.bandits import Record, record

SCORES = np.array([0.9, 0.6, 0.3, 0.1, 0.0])
APPEAL = np.array([0.05, 0.3, 0.1, 0.25, 0.4])
TEMPERATURE = 0.4


def chances(order: np.ndarray) -> np.ndarray:
    """Return the probability of a like for each item; a reader stops at the first like."""
    passed = np.concatenate([[1.0], np.cumprod(1 - APPEAL[order])[:-1]])
    return np.asarray(passed * APPEAL[order])


def truth(temperature: float) -> float:
    """Return the expected number of liked items, over all orders."""
    scores = SCORES if np.isfinite(temperature) else 0 * SCORES
    odds = temperature if np.isfinite(temperature) else 1.0
    total = 0.0
    for each in permutations(range(len(SCORES))):
        order = np.array(each)
        total += float(propensities(scores[order], odds).prod() * _worth(order))
    return total


def _worth(order: np.ndarray) -> float:
    """Weigh a like at the top higher than one further down, so that orders differ in value."""
    return float((chances(order) * WORTH).sum())


WORTH = np.array([1.0, 1.0, 0.0, 0.0, 0.0])  # only the first two places are looked at


def draw(slates: int, seed: int, readers: int = 120) -> list[SampledSlate]:
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(slates):
        order, logged = sample(SCORES, TEMPERATURE, int(chance.integers(2**53)))
        likes = chance.random(len(order)) < APPEAL[order]
        first = likes & (likes.cumsum() == 1)
        user = f"u{chance.integers(readers)}"
        found.append(SampledSlate(user, logged, first * WORTH, TEMPERATURE))
    return found


def trials(wanted: float, rounds: int, slates: int = 300, draws: int = 300) -> dict[str, Record]:
    found: dict[str, list[Estimate]] = {}
    for seed in range(rounds):
        drawn = draw(slates, seed)
        value = evaluate_slates(drawn, wanted, {}, least_effective=50, draws=draws, seed=seed)
        for name, estimate in value.estimates.items():
            found.setdefault(name, []).append(estimate)
    return {name: record(each, truth(wanted)) for name, each in found.items()}
