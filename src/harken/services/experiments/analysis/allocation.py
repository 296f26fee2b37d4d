"""Adaptive allocation: more readers to the arms that are likely to be the best.

Thompson 1933: an arm's share is the probability that it is the best. The allocation is changed at
most once a day, stored, and kept for each reader with their propensity, so that effects and the
sample ratio are computed with the propensities in force.
"""

import numpy as np

from harken.errors import InvalidInput, Problem
from harken.services.experiments.adaptive.versions import LEAST_SHARE
from harken.services.experiments.analysis.effects import mean_effect
from harken.services.experiments.analysis.moments import Floats, MetricValues, moments
from harken.services.experiments.analysis.plan import FEWEST_READERS, Readers

FLOOR = LEAST_SHARE
DRAWS = 4_096
DIGITS = 4
"""Decimal places of shares. They are stored, and readers are assigned by them, as rounded."""


def thompson_shares(
    means: Floats, errors: Floats, generator: np.random.Generator, floor: float = FLOOR
) -> Floats:
    """Return the arms' shares (… × arms), none below `floor`, from normal posteriors.

    `means` and `errors` have the shape … × arms. Where an error is not finite, too little is known
    of an arm, and the shares are equal. Raises InvalidInput if the floors take more than all.
    """
    arms = means.shape[-1]
    if not 0 <= floor * arms <= 1:
        raise InvalidInput(Problem("floor", f"has to be at most 1/{arms} with {arms} arms"))
    is_known = np.isfinite(means + errors).all(axis=-1, keepdims=True)
    centre, spread = np.where(is_known, means, 0.0), np.where(is_known, errors, 1.0)
    drawn = centre + spread * generator.standard_normal((DRAWS, *means.shape))
    best = drawn.argmax(axis=-1)[..., None] == np.arange(arms)
    shares = np.where(is_known, best.mean(axis=0), 1 / arms)
    return np.asarray(floor + (1 - arms * floor) * shares)


def next_allocation(
    readers: Readers,
    values: MetricValues,
    seed: int,
    floor: float = FLOOR,
    *,
    higher_is_better: bool = True,
) -> Floats | None:
    """Return the arms' shares for the next day (shape: arms), from readers with closed windows.

    They have 4 decimal places, and add up to 1. None while an arm has fewer than 20 readers, or
    while all readers have the same value. `seed` makes the draws repeatable. Raises InvalidInput if
    the values do not fit the readers.
    """
    values.checked("metric", len(readers))
    arms = readers.propensities.shape[-1]
    counts = np.bincount(readers.arms, minlength=arms)
    if counts.min() < FEWEST_READERS:
        return None
    means, errors = np.full(arms, np.nan), np.full(arms, np.inf)
    looks, weights = np.array([len(readers)]), readers.weights
    for arm in range(arms):
        found = moments(values, readers.arms == arm, looks, weights).at(0)
        effect = mean_effect(found).numbers()
        means[arm], errors[arm] = effect.effect, effect.error
    # An arm without any act has no spread of its own: at least half of what all arms have.
    together = np.sqrt(np.mean(errors**2 * counts) / counts)
    errors = np.maximum(errors, together * 0.5)
    if not (np.isfinite(means + errors).all() and errors.min() > 0):
        return None
    sign = 1.0 if higher_is_better else -1.0
    return _rounded(thompson_shares(sign * means, errors, np.random.default_rng(seed), floor))


def _rounded(shares: Floats) -> Floats:
    """Return shares with few decimal places that add up to 1; the largest has what is left."""
    found = np.round(shares, DIGITS)
    found[found.argmax()] += 1 - found.sum()
    return np.round(found, DIGITS)
