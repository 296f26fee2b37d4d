"""Thompson sampling: orders in which K-Blocks of which little is known get their chance.

A score is what is expected of a K-Block. How far off it may be depends on how often the K-Block was
shown. So each order draws a score for each K-Block from what is believed of it, and is by these
(Thompson, On the likelihood that one unknown probability exceeds another, Biometrika 25, 1933):

    drawn score = score + spread · √(m / (m + n)) · z

`n` is how often the K-Block was shown. `spread` is how far the best scores are ahead. `z` has mean
0 and variance 1. This is the normal posterior of Agrawal and Goyal, Further Optimal Regret Bounds
for Thompson Sampling, AISTATS 2013, §1: there the variance after n observations is 1 / (1 + n).
Here the prior's variance is spread², and an observation's is m · spread². z is drawn from a
logistic distribution, whose distribution function has a closed form.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harken.domain.exploration import FURTHEST, Floats, uniforms
from harken.services.index.index import Rows

Singles = NDArray[np.float32]

EVIDENCE = 10.0
"""m: after so many impressions, the variance of what is believed is half of what it was."""
DRAWS = 256
"""So many other draws are made to estimate how likely an item was to come to its place."""
LEAST_ODDS = 1e-9
_BLOCK = 64  # draws at a time, which bounds the memory
_FAR = 1e5  # scores are compared up to so many deviations from their median
_SCALE = np.sqrt(3) / np.pi  # of a logistic distribution of variance 1
_HIGH = 0.95
_HIGH_OF_NORMAL = 1.645  # how far that quantile of a normal distribution is from its median


def uncertainties(scores: Floats, shown: Floats) -> Floats:
    """Return the standard deviation of each score, in its unit.

    `scores` and `shown`, how often each was shown (0 or more), have the shape (items,), as has the
    result. The spread is how far the best scores are from the median, so that what is uncertain can
    come up to them. What is far below, such as what the reader has seen, does not count.
    """
    if not len(scores):
        return np.zeros(0)
    finite = np.clip(scores, -FURTHEST, FURTHEST) / 4  # so that their differences are finite
    middle, high = np.quantile(finite, [0.5, _HIGH])
    spread = (
        float(high - middle) / _HIGH_OF_NORMAL or float(finite.max() - finite.min()) / 2 or 0.25
    )
    deviations: Floats = 4 * spread * np.sqrt(EVIDENCE / (EVIDENCE + shown))
    return deviations


def draw(scores: Floats, deviations: Floats, seed: int) -> tuple[Rows, Floats]:
    """Draw an order of items: indices into `scores`, and the odds of each, in that order.

    `scores`, `deviations` (above 0) and both results have the shape (items,). The odds of an item
    are the probability that it comes to the place where it came. They are estimated from `DRAWS`
    other draws: each tells between which two of the other items' scores the item's own score had
    to fall, and the probability of that is known exactly. So an estimate is the mean of
    probabilities, and not a count (Rao–Blackwell).
    """
    count = len(scores)
    if not count:
        return np.zeros(0, np.int64), np.zeros(0)
    # In units of the greatest deviation, so that single precision is enough for the odds.
    unit = float(deviations.max())
    scales = deviations / unit * _SCALE
    scores = np.clip(scores, -FURTHEST, FURTHEST) / unit
    numbers = uniforms(seed, count * (DRAWS + 1)).reshape(DRAWS + 1, count)
    order = np.argsort(-_drawn(scores, scales, numbers[0]), kind="stable")
    scores, scales = scores[order], scales[order]
    middle = float(np.median(scores))
    far = (np.clip(scores - middle, -_FAR, _FAR)).astype(np.float32)
    odds = np.zeros(count)
    for first in range(1, DRAWS + 1, _BLOCK):
        block = numbers[first : first + _BLOCK, order]
        odds += _odds(far, scales.astype(np.float32), _drawn(far, scales, block))
    return order, np.clip(odds / DRAWS, LEAST_ODDS, 1.0)


def _drawn(scores: Any, scales: Floats, numbers: Floats) -> Floats:
    """Return draws from logistic distributions, by the inverse of their distribution function."""
    drawn: Floats = scores + scales * np.log(numbers / (1 - numbers))
    return drawn


def _odds(scores: Singles, scales: Singles, drawn: Floats) -> Floats:
    """Return the sum, over draws, of the probability of each item to come to its own place.

    `drawn` has the shape draws × items. The k-th item comes to the k-th place if its score falls
    between those of the k − 1st and the k-th of the other items.
    """
    own = drawn.astype(np.float32)
    edge = np.full((len(own), 1), np.inf, np.float32)
    ranked = np.hstack([edge, -np.sort(-own, axis=1), -edge])
    # The other items' scores are all of them without the item's own.
    above = np.where(ranked[:, :-2] > own, ranked[:, :-2], ranked[:, 1:-1])
    below = np.where(ranked[:, 1:-1] > own, ranked[:, 1:-1], ranked[:, 2:])
    # tanh does not overflow: 1 / (1 + e^−x) = (1 + tanh(x / 2)) / 2
    likely = np.tanh((above - scores) / (2 * scales)) - np.tanh((below - scores) / (2 * scales))
    return np.asarray(likely.sum(axis=0) / 2, np.float64)
