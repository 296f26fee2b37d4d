"""A reader's own score, blended with everybody's."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.domain.attention import attention_score, check_prior, personal_attention
from harken.errors import InvalidInput

scores = st.floats(0, 1)
priors = st.floats(1e-6, 1e6)
interactions = st.integers(0, 10**9)


@given(own=scores, everybodys=scores, n=interactions, prior=priors)
def test_it_lies_between_the_two(own, everybodys, n, prior):
    blend = personal_attention(own, everybodys, n, prior)
    assert min(own, everybodys) <= blend <= max(own, everybodys)


@given(own=scores, everybodys=scores, n=interactions, more=interactions, prior=priors)
def test_more_evidence_never_leads_away_from_the_readers_own(own, everybodys, n, more, prior):
    less, greater = (personal_attention(own, everybodys, each, prior) for each in (n, n + more))
    assert abs(own - greater) <= abs(own - less)
    assert (greater - less) * (own - everybodys) >= 0


@given(own=scores, everybodys=scores, n=interactions, prior=priors, larger=priors)
def test_a_larger_prior_never_leads_away_from_everybodys(own, everybodys, n, prior, larger):
    less, greater = sorted((prior, larger))
    near, far = (personal_attention(own, everybodys, n, each) for each in (greater, less))
    assert abs(near - everybodys) <= abs(far - everybodys)


@given(own=scores, everybodys=scores, prior=st.floats(0.01, 100))
def test_its_limits_are_the_two(own, everybodys, prior):
    assert personal_attention(own, everybodys, 0, prior) == everybodys
    much = math.ceil(prior * 10**12)
    assert personal_attention(own, everybodys, much, prior) == pytest.approx(own, abs=1e-11)
    assert personal_attention(own, everybodys, 1, prior * 10**14) == pytest.approx(
        everybodys, abs=1e-11
    )


@given(own=scores, everybodys=scores, n=st.integers(1, 10**6), prior=st.floats(0.01, 100))
def test_it_is_the_blend_by_evidence(own, everybodys, n, prior):
    weight = n / (n + prior)
    assert personal_attention(own, everybodys, n, prior) == pytest.approx(
        weight * own + (1 - weight) * everybodys, abs=1e-12
    )


@given(views=st.integers(0, 99), engagements=st.integers(0, 99), dismissals=st.integers(0, 99))
def test_who_alone_touched_it_gets_everybodys_to_the_bit(views, engagements, dismissals):
    score = attention_score(views, engagements, dismissals)
    assert personal_attention(score, score, views + engagements + dismissals, 5.0) == score


@pytest.mark.parametrize("prior", [0.0, -1.0, math.inf, math.nan])
def test_a_prior_is_finite_and_greater_than_0(prior):
    with pytest.raises(InvalidInput, match="attention_prior: must be a finite number greater"):
        check_prior(prior)
