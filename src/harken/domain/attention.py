"""Attention scores, computed from counts: the score of all readers, and one reader's own."""

from math import inf

from harken.errors import InvalidInput, Problem

ENGAGEMENT_WEIGHT = 2.0
VIEW_WEIGHT = 0.5
DISMISSAL_WEIGHT = -1.0

# The formula's value approaches this bound and never reaches it. Dividing by it keeps the order of
# items with many engagements, which a plain clamp would tie at 1.
RAW_SUPREMUM = 2.0

# The number of a reader's interactions that weighs as much as the score of all readers.
DEFAULT_PRIOR = 5.0


def attention_score(views: float, engagements: float, dismissals: float) -> float:
    """Return an item's attention score in [0, 1], from its counts; 0 without interactions.

    raw = (2·engagements + 0.5·views − dismissals) / (views + engagements + dismissals + 1),
    and the score is max(raw, 0) / 2. The statistics tables compute the same expression with the
    same order of operations, so both results are the same double.

    >>> round(attention_score(views=42, engagements=15, dismissals=2), 6)
    0.408333
    >>> attention_score(views=0, engagements=0, dismissals=9)
    0.0
    """
    weighed = ENGAGEMENT_WEIGHT * engagements + VIEW_WEIGHT * views + DISMISSAL_WEIGHT * dismissals
    raw = weighed / (views + engagements + dismissals + 1)
    return max(raw, 0.0) / RAW_SUPREMUM


def personal_attention(own: float, overall: float, interactions: int, prior: float) -> float:
    """Return a reader's own score of an item, shrunk towards the score of all readers.

    w = n / (n + k), and the result is w·own + (1 − w)·overall. n is `interactions`, the number
    of the reader's views, engagements and dismissals of the item. k is `prior`, a number of
    interactions greater than 0: at n = k both scores weigh the same. At n = 0 the result is
    `overall`.

    This is the shrinkage of empirical Bayes: the score of all readers is the prior mean, and k is
    the prior's size (the sum of a Beta prior's parameters, or the rate of a Gamma prior). With
    these priors, the posterior mean is such a weighted mean. See Efron and Morris, "Stein's Paradox
    in Statistics", Scientific American 236(5), 1977; and in general Diaconis and Ylvisaker,
    "Conjugate Priors for Exponential Families", Annals of Statistics 7(2), 1979. The attention
    score is not a plain mean: the formula is theirs, but their proof of optimality does not apply.

    >>> round(personal_attention(own=0.5, overall=0.2, interactions=5, prior=5.0), 6)
    0.35
    >>> personal_attention(own=0.5, overall=0.2, interactions=0, prior=5.0)
    0.2
    """
    if interactions <= 0:
        return overall
    # In this form, rounding keeps it monotone in n, and it is exact where both scores are equal.
    blend = overall + (own - overall) / (1.0 + prior / interactions)
    return min(max(blend, min(own, overall)), max(own, overall))


def check_prior(prior: float) -> float:
    """Return `prior`; raises InvalidInput unless it is a finite number greater than 0."""
    if not 0 < prior < inf:
        raise InvalidInput(Problem("attention_prior", "must be a finite number greater than 0"))
    return prior
