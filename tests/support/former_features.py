"""The features as they were called before, in their order."""

_NAMES = """
    age since_1 since_2 since_3 since_view since_engage readers_5min readers_30min readers_1h
    readers_6h readers_1d first_10min first_1h first_6h first_1d first_4d view_1h view_6h view_1d
    engage_1h engage_6h engage_2d dismiss_2d first_ever view_ever engage_ever dismiss_ever burst
    freshness burst_narrow kinship kin_sum kin_best kin_last kin_15min kin_2h kin_6h kin_1d kin_4d
    kin_since_visit kin_of_visit kin_of_day ahead_2h ahead_1d ahead_4d along_2h along_1d along_4d
    thread thread_visit thread_day thread_all aversion follows_1 follows_2 follows_3 follows
    beside beside_places beside_touches same_source passed passed_visit passed_day seen
    age_deviation newer newer_deviation gap_deviation crowd_deviation news_since_visit
    touched_since_visit readers_since_visit readers_since_last usual_age spread_of_age usual_gap
    usual_crowd since_own since_visit own_30min own_1d own_7d interactions candidates crowd_10min
    hour tags authors principles layers source_pull source_own source_kin total rank_since_1
    rank_burst rank_burst_narrow rank_first_1h rank_first_6h rank_first_1d rank_kinship
    rank_kin_sum rank_kin_15min rank_kin_2h rank_kin_6h rank_kin_1d rank_kin_since_visit
    rank_kin_of_day rank_ahead_2h rank_ahead_1d rank_along_2h rank_thread_visit rank_thread_all
    rank_follows rank_source_kin rank_total
"""
FORMER_ORDER = tuple(_NAMES.split())
