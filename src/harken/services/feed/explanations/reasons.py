"""The reasons for an item's place: what raised it first, then what held it back."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harken.domain.slates import Reason
from harken.services.feed.explanations import phrases
from harken.services.feed.explanations.comparing import Comparison
from harken.services.feed.explanations.facts import Facts
from harken.services.feed.explanations.phrases import PHRASES, Phrase

RAISED, HELD_BACK, NOTED = "raised", "held_back", "noted"
MOST_RAISED, MOST_HELD_BACK = 4, 3
NOTABLE = 1e-9
"""The least difference to the median of the candidates that is no effect of rounding."""
LEAST_SHARE = 0.02
"""The least share of the sum of all differences that makes a reason."""


class Part(NamedTuple):
    """A part of the score of an item, beside the same part of the other candidates.

    name: as in the explanation of the score.
    contribution: to the score of the item. median: the median contribution of the candidates.
    told_by, compared: the name of the phrase for the part, and the value that the phrase is about;
    None for a part of a model that has only the sentence of its family.
    probability: for a part that is the log-odds of an outcome, the probability of the outcome.
    """

    name: str
    contribution: float
    median: float
    told_by: str | None = None
    compared: Comparison | None = None
    probability: float | None = None

    @property
    def difference(self) -> float:
        """What the part added to the score, compared with the median of the candidates."""
        return self.contribution - self.median

    @property
    def agrees(self) -> bool:
        """Whether a higher value raised the item, and a lower one held it back.

        The age is told in any case, since a model may also prefer older items.
        """
        if self.told_by in {"freshness", "recency"} or self.compared is None:
            return True
        return self.compared.sign == (self.difference > 0) - (self.difference < 0)

    def joined(self, other: "Part") -> "Part":
        """Return this part with the contribution of another one added."""
        return self._replace(
            contribution=self.contribution + other.contribution, median=self.median + other.median
        )


def reasons(parts: Sequence[Part], facts: Facts, notes: Iterable[Phrase] = ()) -> list[Reason]:
    """Return the reasons for a place, each group by size; `notes` are sentences after them."""
    parts = _merged(parts)
    total = sum(abs(part.difference) for part in parts)
    order = sorted(parts, key=lambda part: -abs(part.difference))
    least = max(NOTABLE, LEAST_SHARE * total)
    told = _Telling(facts, total)
    found = [told.reason(part) for part in order if abs(part.difference) >= least]
    raised = [each for each in found if each is not None and each.direction == RAISED]
    held_back = [each for each in found if each is not None and each.direction == HELD_BACK]
    noted = [noted_as(each) for each in notes]
    if not raised and not held_back:
        noted.insert(0, noted_as(phrases.EQUAL))
    return [*raised[:MOST_RAISED], *held_back[:MOST_HELD_BACK], *noted]


def _merged(parts: Sequence[Part]) -> list[Part]:
    """Join parts that have the same phrase, such as those of a model and of its base.

    A phrase is about one value. If the sum of the parts contradicts it, the second part gets the
    sentence of its family.
    """
    found: dict[str, Part] = {}
    apart = []
    for part in parts:
        if part.told_by is None or part.compared is None:
            apart.append(part)
            continue
        known = found.get(part.told_by)
        joined = part if known is None else known.joined(part)
        if known is None or joined.agrees:
            found[part.told_by] = joined
        else:
            apart.append(part._replace(told_by=None, compared=None))
    return [*found.values(), *apart]


def noted_as(phrase: Phrase) -> Reason:
    """Return a reason that neither raised the item nor held it back."""
    return Reason("order", NOTED, phrase.text, dict(phrase.figures))


class _Telling:
    """Tells the parts of one item; what one part said already is not said again."""

    def __init__(self, facts: Facts, total: float) -> None:
        self._facts = facts
        self._total = total
        self._said: set[str] = set()

    def reason(self, part: Part) -> Reason | None:
        """Return the reason of a part; None if another one said the same, or without a sentence."""
        phrase = self._phrase(part)
        if phrase is None or phrase.text in self._said:
            return None
        self._said.add(phrase.text)
        compared = {} if part.compared is None else part.compared.figures()
        figures = {
            "contribution": part.contribution, "median": part.median,
            "difference": part.difference, "share": abs(part.difference) / self._total,
            **compared, **phrase.figures,
        }  # fmt: skip
        direction = RAISED if part.difference > 0 else HELD_BACK
        return Reason(part.name, direction, phrase.text, figures)

    def _phrase(self, part: Part) -> Phrase | None:
        if part.probability is not None:
            return phrases.of_outcome(part.name, part.probability)
        if part.told_by is not None and part.compared is not None and part.compared.sign:
            return PHRASES[part.told_by](self._facts, part.compared)
        if part.name in phrases.OF_FAMILIES:
            return phrases.of_family(part.name, raised=part.difference > 0)
        return None
