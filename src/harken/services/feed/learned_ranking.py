"""The learned order in feeds: a model's scores of what is looked at for a reader, and why.

A model compares candidates with each other (some features are places among them), so all of them
are scored at once, and what is asked for later is scored among them too.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from harken.domain.feedback import GUEST
from harken.domain.slates import Contribution
from harken.services.features.names import DESCRIPTIONS, FAMILIES, NAMES, family
from harken.services.features.state import Features
from harken.services.index.index import Floats, Rows
from harken.services.learning.ranker import POSITION, Model
from harken.services.personal.ordering import PersonalScorer, alone, within
from harken.services.readers.affinities import PARTS

SEEN = NAMES.index("seen")
BASE = "base"
PARTS_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        BASE: "what the model says of anything",
        **DESCRIPTIONS,
        "seen": "whether this reader touched it before",
    }
)
"""The parts of a learned score, in words for readers."""


class LearnedScorer(PersonalScorer):
    """What a model expects a reader to turn to.

    It learns from choices among what its reader had not touched. So what they touched sinks below
    all else by the same amount as in the personal order, and `seen` says so.
    """

    def __init__(
        self, state: Features, user_id: str, now: int, model_id: str, model: Model
    ) -> None:
        super().__init__(state, user_id, now)
        self._model_id = model_id
        self._model = model
        self._matrix = np.zeros((0, len(NAMES)), np.float32)
        self._totals = np.zeros(0)

    @property
    def settings(self) -> dict[str, Any]:
        """Return which model made the order."""
        return {"model": self._model_id}

    def totals(self, places: Rows) -> Floats:
        """Return the scores of K-Blocks that are given by their places in the state."""
        at = self._among(places)
        return self._totals[at]

    def explain(self, places: Rows, *, whole: bool = True) -> list[dict[str, Contribution]]:
        """Return what each family of features contributes to each score, by TreeSHAP.

        Lundberg et al., From local explanations to global understanding with explainable AI for
        trees, Nature Machine Intelligence 2, 2020. Not as a `whole`, there is the score alone.
        """
        at = self._among(places)
        if not whole or not len(at):
            return alone(self._totals[at])
        told = _by_family(self._model.names, self._model.contributions(self._matrix[at]))
        told["seen"] = _seen(self._matrix[at])
        # Both are sums of the same in another order: the rest is rounding.
        told[BASE] += self._totals[at] - sum(told.values())
        names = [name for name, part in told.items() if name == BASE or part.any()]
        values = np.column_stack([told[name] for name in names]).tolist()
        return [
            {name: Contribution(each, 1.0, each) for name, each in zip(names, row, strict=True)}
            for row in values
        ]

    def reason(self) -> str:
        """Say what the order is made from."""
        by = f"ordered by the model {self._model_id}"
        count = self.affinities.interactions(self.user_id)
        if self.user_id == GUEST or not count:
            return f"{by}, which knows nothing of this reader: what everybody does counts"
        last = "interaction" if count == 1 else f"{count} interactions"
        return f"{by}, from the reader's last {last}"

    def _among(self, places: Rows) -> Rows:
        """Return where K-Blocks are among those that are scored, which they are now."""
        at = within(self._places, places)
        if at is None:
            self._places = np.unique(np.concatenate([self._places, places]))
            self._matrix = self.state.matrix_at(self.user_id, self._places, self.now)
            self._totals = self._model.score(self._matrix) + _seen(self._matrix)
            at = np.searchsorted(self._places, places)
        return at


class FallbackScorer(PersonalScorer):
    """The personal order, where the learned one was asked for and there is no model for it."""

    def __init__(self, state: Features, user_id: str, now: int, why: str) -> None:
        super().__init__(state, user_id, now)
        self.fallback = why

    @property
    def settings(self) -> dict[str, Any]:
        """Return that no model made the order."""
        return {"model": None}

    def reason(self) -> str:
        """Say why no model was asked, and what the order is made from instead."""
        return f"{self.fallback}, so this is the personal order: {super().reason()}"


def _seen(matrix: Any) -> Floats:
    seen: Floats = matrix[:, SEEN].astype(np.float64) * PARTS["seen"]
    return seen


def _by_family(names: Sequence[str], contributions: Floats) -> dict[str, Floats]:
    """Add up the contributions of features by family; the last column is what is always there."""
    told = {BASE: contributions[:, -1].copy()}
    told |= {name: np.zeros(len(contributions)) for name in FAMILIES}
    for name, column in zip(names, contributions.T[:-1], strict=True):
        told[BASE if name == POSITION else family(name)] += column  # which is the same for all
    return told
