"""The learned order in feeds: a model's scores of a reader's candidates, and their explanation.

A model compares candidates with each other: some features are ranks among them. So all candidates
are scored together, and K-Blocks that are added later are scored together with these.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from harken.domain.feedback import GUEST
from harken.domain.objectives import OBJECTIVES
from harken.domain.slates import Contribution
from harken.services.features.names import (
    DESCRIPTIONS,
    FAMILIES,
    NAMES,
    PERSONAL_SCORE,
    family,
)
from harken.services.features.state import Features
from harken.services.index.index import Floats, Rows
from harken.services.learning.objectives.heads import probabilities
from harken.services.learning.ranker import POSITION, Model
from harken.services.personal.ordering import PersonalScorer, within
from harken.services.personal.stated_interests import STATED
from harken.services.readers.score_parts import PARTS

ALREADY_SEEN = "already_seen"
SEEN = NAMES.index(ALREADY_SEEN)
BASE = "base"
PARTS_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        BASE: "the model's score of any item",
        **DESCRIPTIONS,
        ALREADY_SEEN: "whether this reader touched it before",
        PERSONAL_SCORE: "the personal score, from which a model of few choices was grown",
        STATED: "the interests that this reader set",
        **OBJECTIVES,
    }
)
"""The meaning of each part of a learned score, in words for readers."""


class LearnedScorer(PersonalScorer):
    """Scores K-Blocks for a reader by a model.

    Models are trained on choices among K-Blocks that the reader had not touched. So what the
    reader touched is lowered by the same amount as in the personal order; `already_seen` shows it.
    Where the personal score is a part of the model's, it is lowered by that.

    `objectives` are weights: each adds its weight times the log-odds that the model has for it.
    Those for which the model has no head add nothing.
    """

    def __init__(
        self,
        state: Features,
        user_id: str,
        now: int,
        model_id: str,
        model: Model,
        objectives: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        super().__init__(state, user_id, now)
        self._model_id = model_id
        self._model = model
        self._objectives = {
            name: weight for name, weight in objectives.items() if name in model.heads
        }
        self._matrix = np.zeros((0, len(NAMES)), np.float32)
        self._totals = np.zeros(0)
        self._shap: dict[int, Floats] = {}
        """By index among the scored ones: the contribution of each feature, and the bias."""

    @property
    def settings(self) -> dict[str, Any]:
        """The model's id and the weights of objectives, if there are any, for the slate."""
        weights = {"objectives": self._objectives} if self._objectives else {}
        return {"model": self._model_id, **weights}

    def totals(self, places: Rows) -> Floats:
        """Return the scores of K-Blocks that are given by their places in the affinities."""
        at = self._among(places)
        return self._totals[at]

    def explain(self, places: Rows) -> list[dict[str, Contribution]]:
        """Return what each family of features contributes to each score, by TreeSHAP.

        Lundberg et al., From local explanations to global understanding with explainable AI for
        trees, Nature Machine Intelligence 2, 2020.
        """
        at = self._among(places)
        if not len(at):
            return []
        told, weights = self._told(at)
        names = [name for name, part in told.items() if name == BASE or part.any()]
        values = np.column_stack([told[name] for name in names]).tolist()
        return [
            {
                name: Contribution(each / weights[name], weights[name], each)
                for name, each in zip(names, row, strict=True)
            }
            for row in values
        ]

    def told(self, places: Rows) -> dict[str, Floats]:
        """Return what each part adds to the scores of K-Blocks, with `BASE` for what is left."""
        return self._told(self._among(places))[0]

    def matrix(self, places: Rows) -> Floats:
        """Return the features of K-Blocks (K-Blocks × `NAMES`)."""
        return np.asarray(self._matrix[self._among(places)], np.float64)

    def added(self, places: Rows) -> Floats:
        """Return what the trees add to scores by each feature (K-Blocks × `names`)."""
        return self._contributions(self._among(places))[:, :-1]

    @property
    def base(self) -> float:
        """The weight of the personal score under the trees."""
        return self._model.base

    @property
    def names(self) -> Sequence[str]:
        """The features of the model."""
        return self._model.names

    def probabilities(self, places: Rows) -> dict[str, Floats]:
        """Return the probability of each outcome that has a weight in the order, by K-Block."""
        matrix = self._matrix[self._among(places)]
        heads = self._model.heads
        return {name: probabilities(heads[name].log_odds(matrix)) for name in self._objectives}

    def _contributions(self, at: Rows) -> Floats:
        """Return what each feature adds through the trees, and last the bias; these are kept."""
        missing = [each for each in dict.fromkeys(at.tolist()) if each not in self._shap]
        if missing:
            found = self._model.contributions(self._matrix[missing])
            self._shap.update(zip(missing, found, strict=True))
        return np.array([self._shap[each] for each in at.tolist()])

    def _told(self, at: Rows) -> tuple[dict[str, Floats], dict[str, float]]:
        """Return the parts of scores by name, and the weight of each part."""
        matrix = self._matrix[at]
        told = _by_family(self._model.names, self._contributions(at))
        told[ALREADY_SEEN] = self._lowered(matrix)
        if self.stated:
            told[STATED] = self.of_stated(self._places[at])
        weights = dict.fromkeys(told, 1.0)
        if self._model.base:
            told[PERSONAL_SCORE] = self._model.base_part(matrix)
            weights[PERSONAL_SCORE] = self._model.base
        for name, part in self._weighed(matrix).items():
            told[name], weights[name] = part, self._objectives[name]
        # Both sums have the same terms in another order, so they differ by rounding.
        told[BASE] += self._totals[at] - sum(told.values())
        return told, weights

    def reason(self) -> str:
        """Return a sentence, without its full stop, that says how the order was made."""
        by = f"ordered by the model {self._model_id}"
        count = self.affinities.interactions(self.user_id)
        if self.user_id == GUEST or not count:
            return f"{by}, by what everybody reads: it has no interactions of yours"
        last = "interaction" if count == 1 else f"{count} interactions"
        return f"{by}, from your last {last}"

    def _among(self, places: Rows) -> Rows:
        """Return the indices of K-Blocks among the scored ones, after scoring new ones."""
        at = within(self._places, places)
        if at is None:
            self._places = np.unique(np.concatenate([self._places, places]))
            self._matrix = self.state.matrix_at(self.user_id, self._places, self.now)
            self._totals = self._model.score(self._matrix) + self._lowered(self._matrix)
            for part in self._weighed(self._matrix).values():
                self._totals += part
            if self.stated:
                self._totals += self.of_stated(self._places)
            self._shap = {}  # not cleared: another scorer may have the former one
            at = np.searchsorted(self._places, places)
        return at

    def _lowered(self, matrix: Any) -> Floats:
        """Return what is taken from the scores of what the reader touched before."""
        return np.zeros(len(matrix)) if self._model.base else _seen(matrix)

    def _weighed(self, matrix: Any) -> dict[str, Floats]:
        """Return what each objective with a weight adds to the scores."""
        return {
            name: weight * self._model.heads[name].log_odds(matrix)
            for name, weight in self._objectives.items()
        }


class FallbackScorer(PersonalScorer):
    """The personal order, in place of the learned one while there is no model for it."""

    def __init__(self, state: Features, user_id: str, now: int, why: str) -> None:
        super().__init__(state, user_id, now)
        self.fallback = why

    @property
    def settings(self) -> dict[str, Any]:
        """The absence of a model, for the slate."""
        return {"model": None}

    def reason(self) -> str:
        """Return why no model was used, and how the order was made instead."""
        return f"{self.fallback}, so this is the personal order: {super().reason()}"


def _seen(matrix: Any) -> Floats:
    seen: Floats = matrix[:, SEEN].astype(np.float64) * PARTS[ALREADY_SEEN]
    return seen


def _by_family(names: Sequence[str], contributions: Floats) -> dict[str, Floats]:
    """Return the sums of contributions by family; the last column is the base of all scores."""
    told = {BASE: contributions[:, -1].copy()}
    told |= {name: np.zeros(len(contributions)) for name in FAMILIES}
    for name, column in zip(names, contributions.T[:-1], strict=True):
        told[BASE if name == POSITION else family(name)] += column  # it is the same for all
    return told
