"""The parts of personal and learned scores of a page, beside those of the other candidates."""

from collections.abc import Mapping

import numpy as np

from harken.services.features.names import FAMILIES, NAMES, PERSONAL_SCORE, family
from harken.services.feed.explanations.comparing import Candidates, Floats
from harken.services.feed.explanations.reasons import Part
from harken.services.feed.learned_ranking import BASE, LearnedScorer
from harken.services.index.index import Rows
from harken.services.learning.ranker import POSITION
from harken.services.personal.ordering import PersonalScorer
from harken.services.personal.stated_interests import STATED
from harken.services.readers.score_parts import PARTS

SAMPLED = 40
"""A model's contributions are computed for so many of the candidates, spread over all of them."""

_TOLD_BY: Mapping[str, str] = {
    "age": "freshness", "share_of_newer": "freshness", "new_since_last_visit": "freshness",
    "passed_over_this_visit": "passed_over", "passed_over_last_day": "passed_over",
}  # fmt: skip
_TOLD_BY_FAMILY: Mapping[str, str] = {
    "recency_and_activity": "recent_activity",
    "user_similarity": "user_similarity",
}
_ONLY_BY_FAMILY = ("leaders", "transitions", "distance_from_last", "same_first", "first_reader")


def parts_of(scorer: PersonalScorer, places: Rows, candidates: Rows) -> list[list[Part]]:
    """Return the parts of each of some K-Blocks, which are among the candidates (ascending)."""
    at = np.searchsorted(candidates, places)
    if isinstance(scorer, LearnedScorer):
        return _Learned(scorer, candidates).parts(at)
    return _of_personal(scorer, candidates, at)


def _of_personal(
    scorer: PersonalScorer, candidates: Rows, at: Rows, scale: float = 1.0
) -> list[list[Part]]:
    scored = scorer.scores(candidates)
    weights = {name: scale * weight for name, weight in scored.weights.items()}
    known = {
        name: _candidates(name, part)
        for name, part in scored.parts.items() if weights[name] and part.any()
    }  # fmt: skip
    return [
        [
            Part(
                name, float(scored.parts[name][each]) * weights[name],
                beside.median * weights[name], _phrase_of(name),
                beside.compare(float(scored.parts[name][each])),
            )
            for name, beside in known.items()
        ]
        for each in at.tolist()
    ]  # fmt: skip


def _candidates(name: str, values: Floats) -> Candidates:
    # What a reader asked for is compared with not having asked.
    return Candidates(values, 0.0 if name == STATED else None)


def _phrase_of(part: str) -> str:
    return "followed_principles" if part == "principles" else part


class _Learned:
    """The parts of a model's scores: by family of features, told by the feature that added most."""

    def __init__(self, scorer: LearnedScorer, candidates: Rows) -> None:
        self._scorer = scorer
        self._candidates = candidates
        spread = np.linspace(0, len(candidates) - 1, min(SAMPLED, len(candidates))).astype(np.intp)
        sample = scorer.told(candidates[spread])
        self._medians = {name: _candidates(name, part).median for name, part in sample.items()}
        self._matrix = scorer.matrix(candidates)
        self._known: dict[str, tuple[Floats, Candidates]] = {}

    def parts(self, at: Rows) -> list[list[Part]]:
        """Return the parts of the candidates at some indices."""
        scorer, places = self._scorer, self._candidates[at]
        told = scorer.told(places)
        base = told.pop(PERSONAL_SCORE, None)
        added, chances = scorer.added(places), scorer.probabilities(places)
        found = [
            [
                self._part(name, float(part[row]), int(at[row]), added[row], chances, row)
                for name, part in told.items() if name != BASE
            ]
            for row in range(len(places))
        ]  # fmt: skip
        if base is not None:  # the parts of the personal score tell more than its sum
            personal = PersonalScorer(scorer.state, scorer.user_id, scorer.now)
            for parts, own in zip(
                found, _of_personal(personal, self._candidates, at, scorer.base), strict=True
            ):
                parts[:0] = own
        return found

    def _part(
        self, name: str, contribution: float, at: int, added: Floats,
        chances: Mapping[str, Floats], row: int,
    ) -> Part:  # fmt: skip
        median = self._medians[name]
        part = Part(name, contribution, median)
        if name in chances:
            return part._replace(probability=float(chances[name][row]))
        feature = name
        if name in FAMILIES:
            feature = self._leading(name, added, 1 if contribution > median else -1)
        told_by = _told_by(feature)
        if told_by is None:
            return part
        values, beside = self._values(told_by)
        compared = beside.compare(float(values[at]))
        told = part._replace(told_by=_phrase_of(told_by), compared=compared)
        return told if told.agrees else part

    def _leading(self, name: str, added: Floats, sign: int) -> str:
        """Return the feature of a family that added most in a direction."""
        names = [each for each in self._scorer.names if each != POSITION and family(each) == name]
        indices = [self._scorer.names.index(each) for each in names]
        return names[int(np.argmax(sign * added[indices]))] if names else name

    def _values(self, told_by: str) -> tuple[Floats, Candidates]:
        """Return the values of a part for all candidates."""
        if told_by not in self._known:
            if told_by == STATED:
                values = self._scorer.of_stated(self._candidates)
            else:
                values = self._matrix[:, NAMES.index(told_by)]
            self._known[told_by] = values, _candidates(told_by, values)
        return self._known[told_by]


def _told_by(feature: str) -> str | None:
    """Return the part of the personal score that tells of a feature; None if its family does."""
    feature = feature.removeprefix("rank_")
    if feature in PARTS or feature in {PERSONAL_SCORE, STATED}:
        return feature
    if feature not in NAMES or feature.startswith(_ONLY_BY_FAMILY):
        return None
    if feature.startswith("co_engagement"):
        return "co_engagement"
    return _TOLD_BY.get(feature) or _TOLD_BY_FAMILY.get(family(feature))
