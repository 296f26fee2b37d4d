"""How likely something is by chance: tails of distributions, and many tests at once."""

import math

import numpy as np
from numpy.typing import ArrayLike

from harken.services.integrity.detectors.event_log import Flags, Floats

TERMS = 400
"""Terms of the sum over a tail, at most."""
LARGEST = 300.0
"""The highest surprise that is reported: a p-value of 1e-300."""
LEAST_TAIL = 20
"""Values that a tail is fitted to, at least."""
STEEPEST = 20.0
"""The largest exponent of a tail: ties in it would make it infinite."""


def _log_factorials(most: int) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])


def binomial_surprise(hits: ArrayLike, trials: ArrayLike, chance: ArrayLike) -> Floats:
    """Return −log10 P(X ≥ hits) for X ~ Binomial(trials, chance), elementwise; at most 300.

    It is 0 where `hits` is not above the mean.
    """
    x, n, p = np.broadcast_arrays(
        np.asarray(hits, np.int64), np.asarray(trials, np.int64), np.asarray(chance, np.float64)
    )
    p = np.clip(p, 1e-300, 1 - 1e-12)
    if not x.size:
        return np.zeros(x.shape)
    table = _log_factorials(int(n.max()))
    log_mass = (
        table[n] - table[x] - table[n - x] + x * np.log(p) + (n - x) * np.log1p(-p)
    )  # fmt: skip
    # Below the mean the terms grow, and the answer is 0 anyway.
    odds = np.where(x > n * p, p / (1 - p), 0.0)
    total, term = np.ones(x.shape), np.ones(x.shape)
    for step in range(TERMS):
        term = term * odds * np.maximum(n - x - step, 0) / (x + step + 1)
        total += term
        if not (term > 1e-9 * total).any():
            break
    return _surprise(log_mass + np.log(total), x > n * p)


def poisson_surprise(count: ArrayLike, mean: ArrayLike) -> Floats:
    """Return −log10 P(X ≥ count) for X ~ Poisson(mean), elementwise; at most 300.

    It is 0 where `count` is not above the mean.
    """
    x, m = np.broadcast_arrays(np.asarray(count, np.int64), np.asarray(mean, np.float64))
    m = np.maximum(m, 1e-300)
    if not x.size:
        return np.zeros(x.shape)
    log_mass = x * np.log(m) - m - _log_factorials(int(x.max()))[x]
    ratio = np.where(x > m, m, 0.0)
    total, term = np.ones(x.shape), np.ones(x.shape)
    for step in range(TERMS):
        term = term * ratio / (x + step + 1)
        total += term
        if not (term > 1e-9 * total).any():
            break
    return _surprise(log_mass + np.log(total), x > m)


def _surprise(log_p: Floats, above: Flags) -> Floats:
    return np.where(above, np.clip(-log_p / math.log(10), 0, LARGEST), 0.0)


def benjamini_hochberg(surprise: Floats, tests: int, rate: float) -> Flags:
    """Return which of `tests` p-values are rejected at a false discovery rate.

    `surprise` has −log10 of the p-values that are known; the others of the `tests` count as 1.
    Benjamini and Hochberg, Controlling the False Discovery Rate, JRSS B 57(1), 1995.
    """
    order = np.argsort(-surprise, kind="stable")
    ranks = np.arange(1, len(order) + 1)
    passed = np.flatnonzero(surprise[order] >= np.log10(max(tests, 1) / (rate * ranks)))
    rejected = np.zeros(len(surprise), np.bool_)
    if len(passed):
        rejected[order[: passed[-1] + 1]] = True
    return rejected


def tail_surprise(values: Floats, sample: Floats, share: float = 0.02) -> Floats:
    """Return −log10 P(X ≥ value) under a Pareto tail fitted to the largest `share` of a sample.

    Below the tail the sample's own frequencies are used. The tail's exponent is Hill's estimate
    (A Simple General Approach to Inference About the Tail of a Distribution, Ann. Stat. 3(5),
    1975), with the extreme quarter of the tail left out, so that what is looked for does not fit
    the tail to itself. All zeros if the sample has fewer than 20 values.
    """
    ordered = np.sort(sample[sample > 0])[::-1]
    if len(ordered) < LEAST_TAIL or not len(values):
        return np.zeros(len(values))
    tail = min(max(int(share * len(ordered)), LEAST_TAIL), len(ordered))
    cut = ordered[tail - 1]
    kept = ordered[tail // 4 : tail]
    # Hill's estimate from order statistics tail/4 … tail: the spacings are exponential.
    top, scale = tail // 4, float(np.log(kept / cut).sum())
    exponent = (tail - top) / max(scale + top * math.log(kept[0] / cut), 1e-9)
    exponent = min(exponent, STEEPEST)
    above = len(ordered) - np.searchsorted(ordered[::-1], values, "left")
    log_p = np.log10(np.maximum(above, 1) / len(ordered))
    with np.errstate(divide="ignore", invalid="ignore"):
        fitted = math.log10(tail / len(ordered)) - exponent * np.log10(values / cut)
    beyond = values > cut
    return np.clip(-np.where(beyond, fitted, log_p), 0.0, LARGEST)


def divergence(share: float, usual: float) -> float:
    """Return the Kullback-Leibler divergence of a share from a lower usual one, in nats; else 0."""
    if share <= usual:
        return 0.0
    rest = 0.0 if share >= 1 else (1 - share) * math.log((1 - share) / (1 - usual))
    return share * math.log(share / usual) + rest
