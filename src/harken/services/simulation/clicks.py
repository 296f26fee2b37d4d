"""Click models: which items of a slate a reader looks at, and which of these they click.

All of them keep to the examination hypothesis: whoever looks at an item clicks it with a
probability that is the item's own, whatever its position (Richardson, Dominowska and Ragno,
Predicting clicks: estimating the click-through rate for new ads, 2007). They differ in where
readers look. An item that nobody looked at was not passed over.

Relevances are probabilities of interest. Their last axis is the position in the slate, from the
top; any axes before it are slates.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class SlateBehaviour(NamedTuple):
    """What a reader did with a slate, by position; what was clicked was examined."""

    examined: Bools
    clicked: Bools


class ClickModel(Protocol):
    """How readers go through a slate."""

    def examination(self, relevance: Floats, first: int = 0) -> Floats:
        """Return the probability that each item is looked at.

        `first` is the position of the first item, where the slate is not the feed's first page.
        """

    def sample(self, relevance: Floats, rng: np.random.Generator, first: int = 0) -> SlateBehaviour:
        """Draw what a reader does."""


def click_rates(model: ClickModel, relevance: Floats, first: int = 0) -> Floats:
    """Return the probability that each item is clicked: it is looked at, and is of interest."""
    return model.examination(relevance, first) * relevance


@dataclass(frozen=True)
class NoBias:
    """Everything is looked at, so a click depends on the item alone."""

    def examination(self, relevance: Floats, first: int = 0) -> Floats:
        """Return 1 everywhere."""
        del first
        return np.ones_like(relevance)

    def sample(self, relevance: Floats, rng: np.random.Generator, first: int = 0) -> SlateBehaviour:
        """Draw what a reader does."""
        del first
        return SlateBehaviour(
            np.ones(relevance.shape, bool), rng.random(relevance.shape) < relevance
        )


@dataclass(frozen=True)
class PositionBased:
    """The position alone decides whether an item is looked at.

    The probability is 1 / (1 + position)^eta, with positions from 0. The model is that of
    Richardson et al. (2007) and, under the name of examination, of Craswell, Zoeter, Taylor and
    Ramsey (An experimental comparison of click position-bias models, 2008); the form of the
    decrease is that of Joachims, Swaminathan and Schnabel (Unbiased learning-to-rank with biased
    feedback, 2017). With an eta of 0 there is no bias.
    """

    eta: float = 1.0

    def examination(self, relevance: Floats, first: int = 0) -> Floats:
        """Return the probability that each item is looked at."""
        positions = first + np.arange(relevance.shape[-1])
        return np.broadcast_to((1.0 + positions) ** -self.eta, relevance.shape).copy()

    def sample(self, relevance: Floats, rng: np.random.Generator, first: int = 0) -> SlateBehaviour:
        """Draw what a reader does."""
        examined = rng.random(relevance.shape) < self.examination(relevance, first)
        return SlateBehaviour(examined, examined & (rng.random(relevance.shape) < relevance))


@dataclass(frozen=True)
class Cascade:
    """A reader goes from the top to the first item of interest, clicks it, and leaves.

    So an item is looked at if nothing above it was of interest, and at most one is clicked
    (Craswell et al., 2008). Each page is begun anew.
    """

    def examination(self, relevance: Floats, first: int = 0) -> Floats:
        """Return the probability that each item is looked at."""
        del first
        passed = np.cumprod(1.0 - relevance, axis=-1)
        return np.concatenate([np.ones_like(relevance[..., :1]), passed[..., :-1]], axis=-1)

    def sample(self, relevance: Floats, rng: np.random.Generator, first: int = 0) -> SlateBehaviour:
        """Draw what a reader does."""
        del first
        attracts = rng.random(relevance.shape) < relevance
        examined: Bools = np.cumsum(attracts, axis=-1) - attracts == 0
        return SlateBehaviour(examined, examined & attracts)
