"""Click models follow their formulas."""

import numpy as np
import pytest
from scipy.stats import binomtest

from harken.services.simulation.clicks import Cascade, NoBias, PositionBased, click_rates

RELEVANCE = np.array([0.9, 0.2, 0.5, 0.05, 0.7, 0.3, 0.0, 1.0, 0.4])
SLATES = 20_000
MODELS = [NoBias(), PositionBased(0.5), PositionBased(1.0), PositionBased(2.0), Cascade()]


def is_likely(count: int, rate: float) -> bool:
    """Whether these counts are plausible: a false alarm has a chance of 1 in 100,000."""
    return bool(binomtest(count, SLATES, min(max(rate, 0.0), 1.0)).pvalue > 1e-5)


@pytest.mark.parametrize("first", [0, 20])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_rates_are_those_of_the_formula(model, first):
    slates = np.tile(RELEVANCE, (SLATES, 1))
    look = model.sample(slates, np.random.default_rng(1), first)
    seen, clicked = look.examined.sum(axis=0), look.clicked.sum(axis=0)
    examination = model.examination(RELEVANCE, first)
    rates = click_rates(model, RELEVANCE, first)
    for place in range(len(RELEVANCE)):
        assert is_likely(int(seen[place]), examination[place])
        assert is_likely(int(clicked[place]), rates[place])
    assert not (look.clicked & ~look.examined).any()


def test_the_formulas():
    assert NoBias().examination(RELEVANCE).tolist() == [1.0] * 9
    halves = PositionBased(1.0).examination(RELEVANCE)
    assert halves.tolist() == pytest.approx([1 / (1 + k) for k in range(9)])
    assert PositionBased(2.0).examination(RELEVANCE, 9)[0] == pytest.approx(0.01)
    assert PositionBased(0.0).examination(RELEVANCE, 5).tolist() == [1.0] * 9
    passed = Cascade().examination(RELEVANCE)
    assert passed[:4].tolist() == pytest.approx([1.0, 0.1, 0.08, 0.04])
    assert passed[-1] == 0.0  # nobody continues after an item that everybody clicks


def test_a_cascade_ends_with_its_first_click():
    slates = np.random.default_rng(0).random((500, 12)) * 0.4
    look = Cascade().sample(slates, np.random.default_rng(1))
    assert look.clicked.sum(axis=1).max() == 1
    for examined, clicked in zip(look.examined, look.clicked, strict=True):
        last = int(np.flatnonzero(examined)[-1])
        assert examined[: last + 1].all()
        assert not clicked[:last].any()


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_many_slates_are_as_one_after_the_other(model):
    slates = np.random.default_rng(0).random((4, 5))
    together = model.examination(slates)
    assert together.tolist() == [model.examination(each).tolist() for each in slates]
    one = model.sample(slates[0], np.random.default_rng(3))
    again = model.sample(slates[0], np.random.default_rng(3))
    assert one.clicked.tolist() == again.clicked.tolist()
