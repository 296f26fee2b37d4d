"""Quantiles and tail probabilities of the normal and of Student's distribution.

SciPy has both, but it comes with an extra, and results of experiments need no extra.
"""

import math
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np

# Beyond this many standard deviations, the density of many degrees of freedom is 0 in a double.
_FAR = 40.0
_NORMAL = NormalDist()


def normal_quantile(probability: float) -> float:
    """Return the z below which a standard normal value lies with this probability."""
    return _NORMAL.inv_cdf(probability)


def normal_cdf(value: float) -> float:
    """Return the probability that a standard normal value is at most `value`."""
    return _NORMAL.cdf(value)


def t_two_sided(statistic: float, freedom: float) -> float:
    """Return P(|T| > |statistic|) of Student's distribution; exact to 1e-12 from 3 degrees on."""
    angle = math.atan(abs(statistic) / math.sqrt(freedom))
    return max(0.0, 1 - _mass(angle, freedom) / _mass(math.pi / 2, freedom))


def t_critical(alpha: float, freedom: float) -> float:
    """Return the t > 0 with P(|T| > t) = `alpha`."""
    low, high, whole = 0.0, math.pi / 2, _mass(math.pi / 2, freedom)
    for _ in range(60):
        middle = (low + high) / 2
        if 1 - _mass(middle, freedom) / whole > alpha:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def _mass(angle: float, freedom: float) -> float:
    """Return ∫ cos^(freedom − 1) from 0 to `angle`: with t = √freedom · tan, P(|T| ≤ t) times c."""
    until = min(angle, _FAR / math.sqrt(freedom))
    nodes, weights = _legendre()
    nodes = (nodes + 1) * until / 2
    return until / 2 * float(weights @ np.exp((freedom - 1) * np.log(np.cos(nodes))))


@cache
def _legendre() -> tuple[Any, Any]:
    """Return the nodes and weights of the quadrature; they take 50 ms to compute."""
    return np.polynomial.legendre.leggauss(128)
