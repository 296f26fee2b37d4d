"""The parts of the personal score: their names and default weights."""

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
        "dismissed_similarity": 1.0,  # how many of its readers read what this reader dismissed
        "already_seen": 10.0,  # whether this reader touched it before
    }
)
"""The default weight of each part."""

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
