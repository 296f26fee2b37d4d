"""From counts to an attention score: everybody's, and a reader's own."""

from math import inf

from harken.errors import InvalidInput, Problem

ENGAGEMENT_WEIGHT = 2.0
VIEW_WEIGHT = 0.5
DISMISSAL_WEIGHT = -1.0

# The formula's value approaches this bound, and never reaches it, as engagements alone grow.
# Dividing by it keeps the order among well-engaged items where a plain clamp would tie them at 1.
RAW_SUPREMUM = 2.0

# How many interactions of a reader weigh as much as everybody's score.
DEFAULT_PRIOR = 5.0


def attention_score(views: float, engagements: float, dismissals: float) -> float:
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


def personal_attention(own: float, everybodys: float, interactions: int, prior: float) -> float:
    """Blend a reader's own score of an item with everybody's, by how much they did there.

    w = n / (n + k), and the score is w·own + (1 − w)·everybodys, where n is `interactions`: the
    reader's views, engagements and dismissals of the item. k is `prior`, in interactions and
    greater than 0: at n = k both scores weigh the same. Without interactions it is everybody's.

    This is shrinkage as in empirical Bayes: what everybody did is the prior, and k is its size,
    the sum of a Beta prior's parameters or the rate of a Gamma prior. There the posterior mean is
    such a blend of the mean observed and the mean expected. Efron and Morris, "Stein's Paradox in
    Statistics", Scientific American 236(5), 1977; for priors of this kind in general, Diaconis and
    Ylvisaker, "Conjugate Priors for Exponential Families", Annals of Statistics 7(2), 1979. The
    attention score is no plain mean, so the form is theirs, not the proof that it is the best.

    >>> round(personal_attention(own=0.5, everybodys=0.2, interactions=5, prior=5.0), 6)
    0.35
    >>> personal_attention(own=0.5, everybodys=0.2, interactions=0, prior=5.0)
    0.2
    """
    if interactions <= 0:
        return everybodys
    # Written so that rounding keeps it monotone in n, and exact where both scores are the same.
    blend = everybodys + (own - everybodys) / (1.0 + prior / interactions)
    return min(max(blend, min(own, everybodys)), max(own, everybodys))


def check_prior(prior: float) -> float:
    """Return a prior; raises InvalidInput unless it is a finite number greater than 0."""
    if not 0 < prior < inf:
        raise InvalidInput(Problem("attention_prior", "must be a finite number greater than 0"))
    return prior
