"""From counts to an attention score."""

ENGAGEMENT_WEIGHT = 2.0
VIEW_WEIGHT = 0.5
DISMISSAL_WEIGHT = -1.0

# The formula's value approaches this bound, and never reaches it, as engagements alone grow.
# Dividing by it keeps the order among well-engaged items where a plain clamp would tie them at 1.
RAW_SUPREMUM = 2.0


def attention_score(views: int, engagements: int, dismissals: int) -> float:
    """Score how much attention an item earned, in [0, 1]; 0 without interactions.

    raw = (2·engagements + 0.5·views − dismissals) / (views + engagements + dismissals + 1),
    and the score is raw / 2, not below 0. The statistics tables compute the same expression in
    the same order of operations, so both give the same double.

    >>> round(attention_score(views=42, engagements=15, dismissals=2), 6)
    0.408333
    >>> attention_score(views=0, engagements=0, dismissals=9)
    0.0
    """
    weighed = ENGAGEMENT_WEIGHT * engagements + VIEW_WEIGHT * views + DISMISSAL_WEIGHT * dismissals
    raw = weighed / (views + engagements + dismissals + 1)
    return max(raw, 0.0) / RAW_SUPREMUM
