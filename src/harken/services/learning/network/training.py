"""Trains networks: the choice of a reader among candidates, by the softmax of their scores.

This is the ListNet loss (Cao et al., Learning to rank: from pairwise approach to listwise approach,
ICML 2007) with the gains of grades, minimised by Adam (Kingma and Ba, ICLR 2015) with a learning
rate that falls along a cosine (Loshchilov and Hutter, SGDR, ICLR 2017). No library of moderate size
has this loss: scikit-learn's networks see rows, and not choices.

Networks of several seeds are trained, and the mean of their scores is that of one wider network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.services.learning.network.network import Floats, Layers, Network, Singles, standard

_DECAYS = 0.9, 0.999
_TINY = 1e-7
_LEAST_SPREAD = 1e-6
_FIRST_OUTPUTS = 0.1
"""The scale of the first weights of outputs: all candidates begin with about the same score."""


@dataclass(frozen=True)
class NetworkSettings:
    """How networks are trained: `networks` of them, each of `units` hidden units.

    Each sees all examples `epochs` times, `batch` examples at once; steps begin with `rate`. The
    scores are multiplied by `weight` when they are added to those of trees; 0 trains no network.
    """

    networks: int = 2
    units: int = 32
    epochs: int = 8
    batch: int = 64
    rate: float = 2e-3
    penalty: float = 1e-5
    weight: float = 0.8


class Lists(NamedTuple):
    """Examples one after the other.

    inputs: rows × inputs, standardised, missing ones as 0.
    gains: by row, 0 for what was not chosen.
    begins, sizes, weights: by example, its first row, its number of rows, how much it counts.
    """

    inputs: Singles
    gains: Singles
    begins: NDArray[np.intp]
    sizes: NDArray[np.intp]
    weights: Floats


def train_network(
    inputs: Sequence[Any], gains: Sequence[Any], weights: Sequence[float],
    settings: NetworkSettings, seed: int,
) -> Network | None:  # fmt: skip
    """Train on examples: their inputs (candidates × inputs), gains by candidate, and weights.

    Returns None if nothing was chosen in any of them, or without weight. A missing input is NaN.
    """
    means, spread = _moments(inputs)
    varies = spread > _LEAST_SPREAD
    scales = np.where(varies, spread, 1.0)
    lists = _lists(inputs, gains, weights, means, scales)
    if lists is None or not settings.weight:
        return None
    several = [_fit(lists, settings, seed + number) for number in range(settings.networks)]
    share = np.float32(settings.weight / settings.networks)
    layers = Layers(
        # What never varied has weights by chance alone.
        np.concatenate([each.weights for each in several], axis=1) * varies[:, None],
        np.concatenate([each.offsets for each in several]),
        np.concatenate([each.outputs for each in several]) * share,
    )
    return Network.of(means, scales, layers)


def _moments(inputs: Sequence[Any]) -> tuple[Floats, Floats]:
    """Return the mean and the standard deviation of each input, rounded to single precision."""
    count, total, squares = 0.0, 0.0, 0.0
    for rows in inputs:
        known = np.nan_to_num(rows.astype(np.float64))
        count = count + np.count_nonzero(~np.isnan(rows), axis=0)
        total, squares = total + known.sum(axis=0), squares + (known**2).sum(axis=0)
    means: Any = total / np.maximum(count, 1)
    spread = np.sqrt(np.maximum(squares / np.maximum(count, 1) - means**2, 0.0))
    return means.astype(np.float32).astype(np.float64), spread.astype(np.float32).astype(np.float64)


def _lists(
    inputs: Sequence[Any], gains: Sequence[Any], weights: Sequence[float], means: Floats,
    scales: Floats,
) -> Lists | None:  # fmt: skip
    chosen = [number for number, each in enumerate(gains) if np.any(each > 0)]
    if not chosen:
        return None
    moments = means.astype(np.float32), (1 / scales).astype(np.float32)
    sizes = np.array([len(gains[number]) for number in chosen])
    return Lists(
        np.nan_to_num(
            np.concatenate([standard(inputs[number], *moments) for number in chosen]), copy=False
        ),
        np.concatenate([gains[number] for number in chosen]).astype(np.float32),
        np.cumsum(sizes) - sizes,
        sizes,
        np.array([weights[number] for number in chosen]),
    )


def _fit(lists: Lists, settings: NetworkSettings, seed: int) -> Layers:
    """Train one network."""
    chance = np.random.default_rng(seed)
    count, width = len(lists.sizes), lists.inputs.shape[1]
    scale = np.sqrt(2 / width), _FIRST_OUTPUTS * np.sqrt(2 / settings.units)
    layers = Layers(
        (chance.standard_normal((width, settings.units)) * scale[0]).astype(np.float32),
        np.zeros(settings.units, np.float32),
        (chance.standard_normal(settings.units) * scale[1]).astype(np.float32),
    )
    batches = max(1, count // settings.batch)
    steps = _Adam(layers, settings.rate, settings.epochs * batches)
    for _ in range(settings.epochs):
        order = chance.permutation(count)
        for batch in np.array_split(order, batches):
            steps.take(layers, _gradients(lists, np.sort(batch), layers, settings.penalty))
    return layers


def _gradients(
    lists: Lists, batch: NDArray[np.intp], layers: Layers, penalty: float
) -> tuple[Singles, ...]:
    """Return the gradients of the mean loss of some examples, by the parameters of `Layers`."""
    sizes = lists.sizes[batch]
    first = np.cumsum(sizes) - sizes
    rows = np.repeat(lists.begins[batch] - first, sizes) + np.arange(sizes.sum())
    inputs, gains = lists.inputs[rows], lists.gains[rows]
    hidden = np.maximum(inputs @ layers.weights + layers.offsets, 0)
    scores = hidden @ layers.outputs
    odds = np.exp(scores - np.repeat(np.maximum.reduceat(scores, first), sizes))
    share = odds / np.repeat(np.add.reduceat(odds, first), sizes)
    total = np.repeat(np.add.reduceat(gains, first), sizes)
    weights = np.repeat(lists.weights[batch] / len(batch), sizes).astype(np.float32)
    slopes = (share * total - gains) * weights
    of_hidden = np.outer(slopes, layers.outputs) * (hidden > 0)
    return (
        inputs.T @ of_hidden + np.float32(penalty) * layers.weights,
        of_hidden.sum(axis=0),
        hidden.T @ slopes + np.float32(penalty) * layers.outputs,
    )


class _Adam:
    """Changes parameters step by step, `steps` of them."""

    def __init__(self, layers: Layers, rate: float, steps: int) -> None:
        self._rate, self._steps, self._taken = rate, steps, 0
        self._means = [np.zeros_like(each) for each in layers]
        self._squares = [np.zeros_like(each) for each in layers]

    def take(self, layers: Layers, gradients: Sequence[Singles]) -> None:
        """Change the parameters in place by one step down their gradients."""
        self._taken += 1
        rate = self._rate * 0.5 * (1 + np.cos(np.pi * self._taken / self._steps))
        begun = [1 - decay**self._taken for decay in _DECAYS]
        each = zip(layers, gradients, self._means, self._squares, strict=True)
        for parameters, gradient, mean, square in each:
            mean[...] = _DECAYS[0] * mean + (1 - _DECAYS[0]) * gradient
            square[...] = _DECAYS[1] * square + (1 - _DECAYS[1]) * gradient**2
            step = (mean / begun[0]) / (np.sqrt(square / begun[1]) + _TINY)
            parameters[...] = parameters - rate * step
