"""The features by name: their meaning, their families and their order.

Times and ages are ln(1 + seconds), at most that of 400 days. A name that ends in a duration
such as `_2h` is that of a decayed sum with this half-life.
The readers of a K-Block are distinct, and do not include the reader whom the features are about.
"""

from collections.abc import Mapping
from types import MappingProxyType

from harken.services.features.traces import DAY, HALF_LIVES, HOUR, MINUTE

FADING = {"2h": 2 * HOUR, "1d": DAY}
"""The half-lives, in seconds, of sums over similar readers."""
CLOSEST = 30
"""So many of the most similar readers count in `closest_reader_reach`."""
LATEST = 2
"""Of so many latest readers of a K-Block, the time since each is a feature."""
STEPS = 3
"""From so many of the reader's last K-Blocks, the transitions are features."""

_EVENTS: Mapping[str, str] = MappingProxyType(
    {"first": "readers", "view": "views", "engage": "engagements", "dismiss": "dismissals"}
)


def named(seconds: float) -> str:
    """Return a duration as feature names spell it: `5min`, `2h`, `1d`."""
    if seconds < HOUR:
        return f"{seconds / MINUTE:g}min"
    return f"{seconds / HOUR:g}h" if seconds < DAY else f"{seconds / DAY:g}d"


DECAYED: Mapping[str, str] = MappingProxyType(
    {
        f"decayed_{_EVENTS[kind]}_{named(half_life)}": (
            f"the number of its {_EVENTS[kind]}, with a half-life of {named(half_life)}"
        )
        for kind, half_lives in HALF_LIVES.items()
        for half_life in half_lives
    }
)
"""The sums of `Traces.sums`, in their order."""
EVER: Mapping[str, str] = MappingProxyType(
    {f"{_EVENTS[kind]}_ever": f"the number of its {_EVENTS[kind]} so far" for kind in HALF_LIVES}
)
"""The counts of `Traces.counts`, in their order."""

FEATURES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "recency_and_activity": {
            "age": "the time since it appeared",
            "time_since_reader_1": "the time since its latest reader",
            "time_since_reader_2": "the time since its second latest reader",
            "time_since_view": "the time since its latest view",
            "time_since_engage": "the time since its latest engagement",
            **DECAYED,
            **EVER,
            "recent_activity": "the part of the personal score of this name",
            "freshness": "the part of the personal score of this name",
            "recent_activity_5min": "the sum of 1 / (t + 5 min) over readers, each t ago",
        },
        "user_similarity": {
            "user_similarity": "the part of the personal score of this name",
            "reader_lift_sum": (
                "the sum of the lifts of its readers: ln of how much more likely this reader is to "
                "touch what each of them touched"
            ),
            "reader_lift_mean": "the mean of these lifts",
            "reader_lift_best": "the largest of these lifts",
            "most_similar_reader": "the largest cosine between this reader and its readers",
            "similar_readers_2h": "the sum of these cosines, with a half-life of 2h",
            "similar_readers_1d": "the sum of these cosines, with a half-life of 1d",
            "similar_readers_since_last_visit": (
                "the sum of the cosines of readers since this reader's previous visit"
            ),
            "leaders_2h": (
                "the sum of the shares of what its readers touched up to a day before this reader "
                "did; half-life 2h"
            ),
            "leaders_1d": "the sum of these shares; half-life 1d",
            "similar_reader_reach": (
                "of the similar readers who were active since it appeared, the share who came to "
                "it, by cosines"
            ),
            "reader_lift_reach": "this share by lifts above 0",
            "closest_reader_reach": f"this share among the {CLOSEST} most similar readers",
            "reader_lift_absent": (
                "the similar readers who were active since it appeared and did not come, by lifts "
                "above 0; as a share of all similar readers"
            ),
        },
        "item_to_item": {
            "co_engagement": "the part of the personal score of this name",
            "co_engagement_this_visit": (
                "the sum of cosines, by readers, with the K-Blocks of this reader's present visit"
            ),
            "co_engagement_last_day": "the same with the K-Blocks of the last 24 hours",
            "co_engagement_all": "the same with all remembered K-Blocks of this reader",
            "dismissed_similarity": "the part of the personal score of this name",
            "transitions_sum": (
                f"the shares of readers who went on to it from each of this reader's last {STEPS} "
                "K-Blocks, summed"
            ),
            "distance_from_last_age": "its age less that of this reader's last K-Block",
            "distance_from_last_age_rank": (
                "the number of candidates that are newer than it, less those newer than the last"
            ),
            "distance_from_last_activity_rank": (
                "the number of candidates read later than it, less those read later than the last"
            ),
        },
        "reader_habits": {
            "passed_over": "the part of the personal score of this name",
            "passed_over_this_visit": (
                "the number of K-Blocks that this reader chose in this visit since it appeared"
            ),
            "passed_over_last_day": "the same in the last 24 hours",
            "already_seen": "the part of the personal score of this name",
            "age_deviation": "the absolute value of `age_deviation_signed`",
            "share_of_newer": "the share of the other candidates that are newer",
            "age_deviation_signed": (
                "its age less the usual age of what this reader chooses, in standard deviations"
            ),
            "reader_gap_deviation": (
                "the time since its latest reader less `usual_reader_gap`, in standard deviations"
            ),
            "reader_count_deviation": (
                "ln(1 + its readers) less `usual_reader_count`, in standard deviations"
            ),
            "new_since_last_visit": "1 if it appeared after this reader's previous visit",
            "readers_since_last_visit": "the number of readers after this reader's previous visit",
            "readers_since_last_interaction": (
                "the number of readers after this reader's last interaction"
            ),
        },
        "request_context": {
            "usual_age": "the mean age of K-Blocks when this reader chose them",
            "usual_age_deviation": "the standard deviation of these ages",
            "usual_reader_gap": "the mean time since the latest reader when this reader chose",
            "usual_reader_count": "the mean of ln(1 + readers) when this reader chose",
            "time_since_own_interaction": "the time since this reader's last interaction",
            "time_between_visits": "the time from the previous visit to the present one",
            "reader_kblocks_last_30min": "the number of K-Blocks of this reader in 30 minutes",
            "reader_kblocks_last_7d": "the number of K-Blocks of this reader in 7 days",
            "reader_kblocks": "the number of remembered K-Blocks of this reader",
            "candidate_count": "the number of candidates",
            "all_events_10min": "views and engagements by everybody, with a half-life of 10min",
            "hour_of_day": "the hour of the day in UTC, with fractions",
        },
        "item_attributes": {
            "tags": "this reader's mean affinity to its tags",
            "authors": "this reader's affinity to its author",
            "principles": "this reader's mean affinity to its principles",
            "layers": "this reader's affinity to its layer",
            "folders": "this reader's affinity to its folder",
            "sources": "this reader's affinity to its source",
            "text": "how well its text fits this reader's taste in words",
            "first_reader_audience": "the mean readers of K-Blocks with the same first reader",
            "same_first_reader_share": "the share of this reader's K-Blocks with its first reader",
        },
        "ranks": {},
    }
)
"""The meaning of each feature but the ranks, by family."""

FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {family: tuple(features) for family, features in FEATURES.items()}
)
"""The names of all features but ranks, by family."""

DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "recency_and_activity": "how new it is, and how much all readers do with it lately",
        "user_similarity": "how similar its readers are to this reader",
        "item_to_item": "how close it is to what this reader read before",
        "reader_habits": "how it fits what this reader usually reads, and when",
        "request_context": "this reader's activity, and the time of the request",
        "item_attributes": "its tags, author, principles, layer, folder, source and text",
        "ranks": "how it compares with the other candidates",
    }
)
"""The meaning of each family, in words for readers."""

PERSONAL_SCORE = "personal_score"
"""The feature that is the whole personal score."""

RANKED = (
    "recent_activity_5min", "decayed_readers_1h", "decayed_readers_6h", "user_similarity",
    "reader_lift_mean", "similar_readers_1d", "similar_reader_reach", "reader_lift_reach",
    "co_engagement_this_visit", "transitions_sum", "same_first_reader_share", PERSONAL_SCORE,
)  # fmt: skip
"""The features by which candidates are ranked, from 0 (best) to 1."""

NAMES: tuple[str, ...] = (
    *(name for names in FAMILIES.values() for name in names),
    PERSONAL_SCORE,
    *(f"rank_{name}" for name in RANKED),
)
"""All features, in the order of a matrix's columns."""


OF_WHO_CAME = tuple(name for name in NAMES if name.endswith(("_reach", "_absent")))
"""The features that compare who came to a candidate with who did not.

Where readers are shown pages, most of those who did not come did not see it: it stood too low.
"""


def family(name: str) -> str:
    """Return the family of a feature. Raises KeyError for another name."""
    if name.startswith("rank_") or name == PERSONAL_SCORE:
        return "ranks"
    for each, names in FAMILIES.items():
        if name in names:
            return each
    raise KeyError(name)


def meaning(name: str) -> str:
    """Return what a feature means, in one line. Raises KeyError for another name."""
    if name == PERSONAL_SCORE:
        return "the personal score"
    if name.startswith("rank_") and name.removeprefix("rank_") in RANKED:
        return f"the rank among the candidates by `{name.removeprefix('rank_')}`, 0 for the best"
    return FEATURES[family(name)][name]
