"""The parts of the personal score: their names, their weights, and the evidence for each.

What other readers do says much where there are many of them, and little where there are two. So the
parts that follow from others weigh by the size of the crowd.
"""

from collections.abc import Mapping
from types import MappingProxyType

EVERYBODYS = ("recent_activity", "freshness")
"""The parts that are the same for every reader."""

PARTS: Mapping[str, float] = MappingProxyType(
    {
        "recent_activity": 1.0,  # how many readers read it lately
        "freshness": 0.25,  # how new it is
        "user_similarity": 1.0,  # how similar its readers are to this reader
        "co_engagement": 0.5,  # how many of its readers read what this reader read last
        "passed_over": 1.0,  # how many others this reader read since it appeared
        "tags": 2.0,  # this reader's affinity to its tags, and so on
        "authors": 1.0,
        "principles": 1.0,
        "layers": 0.5,
        "folders": 2.0,
        "sources": 0.5,
        "text": 6.0,  # this reader's taste in words
        "dismissed_similarity": 1.0,  # how many of its readers read what this reader dismissed
        "already_seen": 10.0,  # whether this reader touched it before
    }
)
"""The default weight of each part."""

OF_CHOICES = tuple(name for name in PARTS if name != "already_seen")
"""The parts whose weights can be learned from choices, which are among what is new to a reader."""
OF_OTHERS = frozenset(
    {"recent_activity", "user_similarity", "co_engagement", "dismissed_similarity"}
)
"""The parts that follow from what other readers do."""
OF_TIME = frozenset({"freshness", "passed_over"})
"""The parts that follow from the order of time, in which a crowd reads."""
_OF_TIME_ALONE = 0.3
"""The share of its weight that a part of `OF_TIME` has for a reader alone."""
CROWD = 15.0
"""So many other readers at which the parts of others have half of their weight."""
GUEST_EVENTS = 5.0
"""So many events of guests count as one reader."""

FORMER_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "burst": "recent_activity",
        "kinship": "user_similarity",
        "thread": "co_engagement",
        "passed": "passed_over",
        "aversion": "dismissed_similarity",
        "seen": "already_seen",
    }
)
"""The present name by the former name; settings may use either."""


def known_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """Return weights under the present names of parts.

    Raises ValueError for a part that is unknown, or that is given under both of its names.
    """
    found: dict[str, float] = {}
    for name, weight in weights.items():
        part = FORMER_PARTS.get(name, name)
        if part not in PARTS:
            raise ValueError(f"weights of {[name]} are unknown; known are {list(PARTS)}")
        if part in found:
            raise ValueError(f"{part} has two weights, one of them under its former name")
        found[part] = weight
    return found


def shares_by_evidence(others: float) -> dict[str, float]:
    """Return the share of its weight that each part has, for a reader among `others` others.

    With n others, the parts of others have the share n² / (n² + `CROWD`²): two others say next to
    nothing, forty say almost all.
    """
    share = others**2 / (others**2 + CROWD**2)
    shares = dict.fromkeys(PARTS, 1.0) | dict.fromkeys(OF_OTHERS, share)
    return shares | dict.fromkeys(OF_TIME, _OF_TIME_ALONE + (1 - _OF_TIME_ALONE) * share)
