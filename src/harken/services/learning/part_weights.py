"""The weights of the parts of the personal score, learned from the choices in a log.

A choice is an impression (see `impressions`): what a reader took, among what they could have taken.
The weights maximise the likelihood of the latest choices by a conditional logit (McFadden,
Conditional logit analysis of qualitative choice behavior, 1974) with a Gaussian prior around the
default weights, so a small log changes them little. They are found by Newton's method.

What a page of Harken led to (an event that names its slate) is not learned from: what stood at the
top was taken because it stood there, and the weights would confirm the order that they made.
"""

from collections import deque
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from harken.services.learning.impressions import Event, Window
from harken.services.readers.affinities import Affinities
from harken.services.readers.history import Touch
from harken.services.readers.score_parts import OF_CHOICES, PARTS

Floats = NDArray[np.float64]

MOST = 3_000
"""The weights are learned from so many of the latest choices that `is_used` selects."""
FEWEST = 500
"""With fewer choices, the weights stay at their defaults."""
EVERY = 500
"""The weights are computed anew after so many more of these choices."""
OTHERS = 30
"""So many of the other candidates of a choice are drawn."""
PRECISION = 400.0
"""The precision of the prior, of weights relative to their defaults."""
SAMPLED = 4
"""After the first `FEWEST`, one of so many choices is used, to save time."""
SPREAD = 5_000
"""After n choices, one of n / `SPREAD` is used, if that is fewer.

So the latest `MOST` come from about the latest 45 % of a long log, and a choice costs less and
less.
"""
_STEPS = 8


def is_used(number: int) -> bool:
    """Return whether weights are learned from a choice, by its number in the log, from 1."""
    return number <= FEWEST or number % max(SAMPLED, number // SPREAD) == 0


class PartWeights:
    """Learns the weights of an `Affinities` from its events, and sets them.

    The owner passes each event to `observe`, in order of time, before the affinities get it, and
    calls `learn` when weights `are_due`.
    """

    def __init__(self, affinities: Affinities, seed: int = 0) -> None:
        self._affinities = affinities
        self._names = tuple(name for name in OF_CHOICES if name not in affinities.settings.fixed)
        self._window = Window(timedelta())
        # By choice: its candidates, the chosen one first × parts.
        self._choices: deque[NDArray[np.float32]] = deque(maxlen=MOST)
        self._generator = np.random.default_rng(seed)
        self._seen = 0
        self._new = 0

    def observe(self, touch: Touch, *, from_page: bool) -> None:
        """Learn from an event, if it is a choice of a reader who is known well enough.

        `from_page` says whether a page of Harken may have led to it.
        """
        event = Event(touch)
        if self._names and not from_page and self._window.is_impression(event):
            self._seen += 1
            if is_used(self._seen):
                self._add(touch)
        self._window.observe(event, counted=False)

    def _add(self, touch: Touch) -> None:
        if not self._affinities.is_known(touch.user_id):
            return
        candidates = self._window.candidates(touch.user_id, touch.at)
        drawn = self._generator.choice(candidates, min(OTHERS, len(candidates)), replace=False)
        others = [each for each in self._window.named(drawn.tolist()) if each != touch.kblock_id]
        scored = self._affinities.score(touch.user_id, (touch.kblock_id, *others), touch.at)
        parts = [scored.parts[name] * scored.shares[name] for name in self._names]
        self._choices.append(np.column_stack(parts).astype(np.float32))
        self._new += 1

    @property
    def are_due(self) -> bool:
        """Whether enough choices came since the weights were learned."""
        return self._new >= EVERY and len(self._choices) >= FEWEST

    def learn(self) -> None:
        """Learn the weights anew, in some 100 ms: a server does it in a thread."""
        self._new = 0
        prior = np.array([PARTS[name] for name in self._names])
        weights = conditional_logit(list(self._choices), prior, PRECISION)
        learned = dict(zip(self._names, weights.tolist(), strict=True))
        self._affinities.weights = self._affinities.weights | learned


def conditional_logit(
    choices: list[NDArray[np.float32]], prior: Floats, precision: float
) -> Floats:
    """Return the most probable weights, by values (candidates × weights), the chosen one first.

    The prior of each weight is Gaussian: its mean is given, its deviation is the mean / √precision.
    """
    sizes = np.array([len(each) for each in choices])
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    values = np.concatenate(choices).astype(np.float64)
    values -= np.repeat(values[first], sizes, axis=0)  # relative to the chosen one
    inverse = precision / prior**2
    weights = prior.copy()
    for _ in range(_STEPS):
        odds = np.exp(np.clip(values @ weights, -50.0, 50.0))
        shares = odds / np.repeat(np.add.reduceat(odds, first), sizes)
        weighted = values * shares[:, None]
        means = np.add.reduceat(weighted, first)
        gradient = -means.sum(axis=0) - inverse * (weights - prior)
        hessian = values.T @ weighted - means.T @ means + np.diag(inverse)
        step = np.linalg.solve(hessian, gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-4:
            break
    return weights
