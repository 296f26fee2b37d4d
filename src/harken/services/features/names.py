"""The features by name: which there are, and what families they belong to."""

from collections.abc import Mapping
from types import MappingProxyType

from harken.services.features.traces import DAY, HALF_LIVES, HOUR, MINUTE

WINDOWS = {"5min": 5 * MINUTE, "30min": 30 * MINUTE, "1h": HOUR, "6h": 6 * HOUR, "1d": DAY}
FADING = {"15min": 15 * MINUTE, "2h": 2 * HOUR, "6h": 6 * HOUR, "1d": DAY, "4d": 4 * DAY}
LATEST = 3
STEPS = 3


def named(seconds: float) -> str:
    """Return what a duration is called in names."""
    if seconds < HOUR:
        return f"{seconds / MINUTE:g}min"
    return f"{seconds / HOUR:g}h" if seconds < DAY else f"{seconds / DAY:g}d"


FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "clocks": (
            "age",
            *(f"since_{n + 1}" for n in range(LATEST)),
            "since_view",
            "since_engage",
            *(f"readers_{name}" for name in WINDOWS),
            *(f"{kind}_{named(h)}" for kind, each in HALF_LIVES.items() for h in each),
            *(f"{kind}_ever" for kind in HALF_LIVES),
            "burst",
            "freshness",
            "burst_narrow",
        ),
        "kin": (
            "kinship",
            "kin_sum",
            "kin_best",
            "kin_last",
            *(f"kin_{name}" for name in FADING),
            "kin_since_visit",
            "kin_of_visit",
            "kin_of_day",
            *(f"ahead_{name}" for name in ("2h", "1d", "4d")),
            *(f"along_{name}" for name in ("2h", "1d", "4d")),
        ),
        "items": (
            "thread",
            "thread_visit",
            "thread_day",
            "thread_all",
            "aversion",
            *(f"follows_{n + 1}" for n in range(STEPS)),
            "follows",
            "beside",
            "beside_places",
            "beside_touches",
            "same_source",
        ),
        "habit": (
            "passed",
            "passed_visit",
            "passed_day",
            "seen",
            "age_deviation",
            "newer",
            "newer_deviation",
            "gap_deviation",
            "crowd_deviation",
            "news_since_visit",
            "touched_since_visit",
            "readers_since_visit",
            "readers_since_last",
        ),
        "reader": (
            "usual_age",
            "spread_of_age",
            "usual_gap",
            "usual_crowd",
            "since_own",
            "since_visit",
            "own_30min",
            "own_1d",
            "own_7d",
            "interactions",
            "candidates",
            "crowd_10min",
            "hour",
        ),
        "contents": (
            "tags",
            "authors",
            "principles",
            "layers",
            "source_pull",
            "source_own",
            "source_kin",
        ),
        "ranks": (),
    }
)  # fmt: skip
"""The names of all features but ranks, by family."""

DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "clocks": "how new it is, and what everybody does with it lately",
        "kin": "what its readers and this reader have in common",
        "items": "how close it is to what this reader turned to before",
        "habit": "how it fits what this reader usually takes, and when",
        "reader": "who asks, and when",
        "contents": "its tags, author, principles and layer",
        "ranks": "how it compares with the other candidates",
    }
)
"""What each family says, in words for readers."""

RANKED = (
    "since_1", "burst", "burst_narrow", "first_1h", "first_6h", "first_1d", "kinship", "kin_sum",
    "kin_15min", "kin_2h", "kin_6h", "kin_1d", "kin_since_visit", "kin_of_day", "ahead_2h",
    "ahead_1d", "along_2h", "thread_visit", "thread_all", "follows", "source_kin", "total",
)  # fmt: skip
"""What candidates are ranked by, from 0 (best) to 1; `total` is the personal score."""

NAMES: tuple[str, ...] = (
    *(name for names in FAMILIES.values() for name in names),
    "total",
    *(f"rank_{name}" for name in RANKED),
)
"""All features, in the order of a matrix's columns."""


def family(name: str) -> str:
    """Return the family of a feature."""
    if name.startswith("rank_") or name == "total":
        return "ranks"
    return next(each for each, names in FAMILIES.items() if name in names)
