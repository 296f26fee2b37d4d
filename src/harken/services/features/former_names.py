"""The names that features had before: models that were trained under them stay usable.

The meaning and the values of the features are unchanged. No former name is the present name of
another feature, so names are translated one by one.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

_RANK = "rank_"

FORMER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "since_1": "time_since_reader_1",
        "since_2": "time_since_reader_2",
        "since_3": "time_since_reader_3",
        "since_view": "time_since_view",
        "since_engage": "time_since_engage",
        "readers_5min": "readers_last_5min",
        "readers_30min": "readers_last_30min",
        "readers_1h": "readers_last_1h",
        "readers_6h": "readers_last_6h",
        "readers_1d": "readers_last_1d",
        "first_10min": "decayed_readers_10min",
        "first_1h": "decayed_readers_1h",
        "first_6h": "decayed_readers_6h",
        "first_1d": "decayed_readers_1d",
        "first_4d": "decayed_readers_4d",
        "view_1h": "decayed_views_1h",
        "view_6h": "decayed_views_6h",
        "view_1d": "decayed_views_1d",
        "engage_1h": "decayed_engagements_1h",
        "engage_6h": "decayed_engagements_6h",
        "engage_2d": "decayed_engagements_2d",
        "dismiss_2d": "decayed_dismissals_2d",
        "first_ever": "readers_ever",
        "view_ever": "views_ever",
        "engage_ever": "engagements_ever",
        "dismiss_ever": "dismissals_ever",
        "burst": "recent_activity",
        "burst_narrow": "recent_activity_5min",
        "kinship": "user_similarity",
        "kin_sum": "similar_readers_sum",
        "kin_best": "most_similar_reader",
        "kin_last": "most_similar_reader_last_1h",
        "kin_15min": "similar_readers_15min",
        "kin_2h": "similar_readers_2h",
        "kin_6h": "similar_readers_6h",
        "kin_1d": "similar_readers_1d",
        "kin_4d": "similar_readers_4d",
        "kin_since_visit": "similar_readers_since_last_visit",
        "kin_of_visit": "similar_readers_by_this_visit",
        "kin_of_day": "similar_readers_by_last_day",
        "ahead_2h": "leaders_2h",
        "ahead_1d": "leaders_1d",
        "ahead_4d": "leaders_4d",
        "along_2h": "same_hour_readers_2h",
        "along_1d": "same_hour_readers_1d",
        "along_4d": "same_hour_readers_4d",
        "thread": "co_engagement",
        "thread_visit": "co_engagement_this_visit",
        "thread_day": "co_engagement_last_day",
        "thread_all": "co_engagement_all",
        "aversion": "dismissed_similarity",
        "follows_1": "transitions_1",
        "follows_2": "transitions_2",
        "follows_3": "transitions_3",
        "follows": "transitions_sum",
        "beside": "distance_from_last_age",
        "beside_places": "distance_from_last_age_rank",
        "beside_touches": "distance_from_last_activity_rank",
        "same_source": "same_first_reader",
        "passed": "passed_over",
        "passed_visit": "passed_over_this_visit",
        "passed_day": "passed_over_last_day",
        "seen": "already_seen",
        "newer": "share_of_newer",
        "newer_deviation": "age_deviation_signed",
        "gap_deviation": "reader_gap_deviation",
        "crowd_deviation": "reader_count_deviation",
        "news_since_visit": "new_since_last_visit",
        "touched_since_visit": "read_since_last_visit",
        "readers_since_visit": "readers_since_last_visit",
        "readers_since_last": "readers_since_last_interaction",
        "spread_of_age": "usual_age_deviation",
        "usual_gap": "usual_reader_gap",
        "usual_crowd": "usual_reader_count",
        "since_own": "time_since_own_interaction",
        "since_visit": "time_between_visits",
        "own_30min": "reader_kblocks_last_30min",
        "own_1d": "reader_kblocks_last_1d",
        "own_7d": "reader_kblocks_last_7d",
        "interactions": "reader_kblocks",
        "candidates": "candidate_count",
        "crowd_10min": "all_events_10min",
        "hour": "hour_of_day",
        "source_pull": "first_reader_audience",
        "source_own": "same_first_reader_count",
        "source_kin": "same_first_reader_share",
        "total": "personal_score",
    }
)
"""The present name by the former name; ranks follow from the feature that they rank by."""


def present_name(name: str) -> str:
    """Return the present name of a feature; any other name is returned as it is."""
    if name.startswith(_RANK):
        return _RANK + present_name(name.removeprefix(_RANK))
    return FORMER_NAMES.get(name, name)


def present_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the present names of features, in the order given."""
    return tuple(map(present_name, names))
