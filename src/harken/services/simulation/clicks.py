"""Click models: which items of a slate a reader looks at, and which of these they click.

All models follow the examination hypothesis: a reader who looks at an item clicks it with a
probability that depends on the item and not on its position (Richardson, Dominowska and Ragno,
Predicting clicks: estimating the click-through rate for new ads, 2007). The models differ in where
readers look. An item that nobody looked at does not count as passed over.

Relevances are probabilities of interest, with the shape (…, positions): the last axis is the
position in the slate, from the top, and any axes before it are slates.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class SlateBehaviour(NamedTuple):
    """What a reader did with a slate, by position; every clicked item was also examined."""

    examined: Bools
    clicked: Bools


class ClickModel(Protocol):
    """A model of how readers examine and click the items of a slate."""

    def examination(self, relevance: Floats, first: int = 0) -> Floats:
        """Return the probability that each item is looked at (shape: that of `relevance`).

        `first` is the position of the first item; it is above 0 for a later page.
        """

    def sample(self, relevance: Floats, rng: np.random.Generator, first: int = 0) -> SlateBehaviour:
        """Draw which items a reader examines and clicks."""


def click_rates(model: ClickModel, relevance: Floats, first: int = 0) -> Floats:
    """Return the probability that each item is clicked (shape: that of `relevance`)."""
    return model.examination(relevance, first) * relevance


@dataclass(frozen=True)
class NoBias:
    """Every item is looked at, so a click depends only on the item."""

    def examination(self, relevance: Floats, first: int = 0) -> Floats:
        """Return 1 everywhere."""
        del first
        return np.ones_like(relevance)

    def sample(self, relevance: Floats, rng: np.random.Generator, first: int = 0) -> SlateBehaviour:
        """Draw which items a reader examines and clicks."""
        del first
        return SlateBehaviour(
            np.ones(relevance.shape, bool), rng.random(relevance.shape) < relevance
        )


@dataclass(frozen=True)
class PositionBased:
    """The probability that an item is looked at depends only on its position.

    It is 1 / (1 + position)^eta, with positions from 0. The model is that of
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
        """Draw which items a reader examines and clicks."""
        examined = rng.random(relevance.shape) < self.examination(relevance, first)
        return SlateBehaviour(examined, examined & (rng.random(relevance.shape) < relevance))


@dataclass(frozen=True)
class Cascade:
    """A reader goes from the top to the first item of interest, clicks it, and leaves.

    An item is looked at if nothing above it was of interest, and at most one item is clicked
    (Craswell et al., 2008). Each page starts from its own top.
    """

    def examination(self, relevance: Floats, first: int = 0) -> Floats:
        """Return the probability that each item is looked at."""
        del first
        passed = np.cumprod(1.0 - relevance, axis=-1)
        return np.concatenate([np.ones_like(relevance[..., :1]), passed[..., :-1]], axis=-1)

    def sample(self, relevance: Floats, rng: np.random.Generator, first: int = 0) -> SlateBehaviour:
        """Draw which items a reader examines and clicks."""
        del first
        attracts = rng.random(relevance.shape) < relevance
        examined: Bools = np.cumsum(attracts, axis=-1) - attracts == 0
        return SlateBehaviour(examined, examined & attracts)
