"""The interests of a reader on the reader page: their kinds, levels and changes, in words."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from harken.domain.preferences import Interests
from harken.services.feed.explanations.phrases import in_words
from harken.services.personal.interests import Interest, listed, strength
from harken.services.personal.stated_interests import Changed, as_preferences, by_label

KINDS = (
    ("tags", "Tags"), ("authors", "Authors"), ("folders", "Folders"), ("sources", "Sources"),
    ("principles", "Principles"), ("layers", "Layers"),
)  # fmt: skip
LEVELS = (
    (2.0, "Much more"), (1.0, "More"), (0.0, "Removed"), (-1.0, "Less"), (-2.0, "Much less"),
)  # fmt: skip
MOST_SHOWN = 12
"""Of each kind so many interests from reading are shown, and all that the reader set."""


class InWords(NamedTuple):
    """A change of one interest, in words."""

    name: str
    before: str
    after: str


def shown(interests: Sequence[Interest]) -> dict[str, list[Interest]]:
    """Return the interests to show, by kind, the strongest first."""
    found: dict[str, list[Interest]] = {kind: [] for kind, _heading in KINDS}
    for each in interests:
        of_kind = found[each.kind]
        if each.stated is not None or len(of_kind) < MOST_SHOWN:
            of_kind.append(each)
    return found


def changed(changes: Sequence[Changed], interests: Interests) -> dict[str, Any]:
    """Return the values of the template that says what a change would do.

    `before` and `after` are the interests that the reader set, as their preferences have them.
    """
    after = by_label(interests) | {each.label: each.after for each in changes}
    named = [InWords(in_words(each.label.kind, each.label.name), *_words(each)) for each in changes]
    return {
        "changes": named,
        "names": listed([each.name for each in named]) if named else "",
        "is_limit": all(each.before == each.after for each in changes),
        "before": interests,
        "after": as_preferences(after),
    }


def _words(change: Changed) -> tuple[str, str]:
    """Return the strengths before and after; with a number where both have the same words."""
    before, after = strength(change.before), strength(change.after)
    return (before, after) if before != after else (before, "stays as it is")
