"""How much of click-through is place: recovered where the truth is known."""

import numpy as np
import pytest

from harken.services.evaluation.position_bias import (
    LEAST_CHOICES,
    LEAST_READERS,
    position_bias,
)

NOTHING = np.zeros((0, 4), np.int64)


def pairs(place, item, readers=60, choices=40, seed=0):
    """Draw choices: the upper one is `place` times as likely, the item of it `item` times."""
    generator = np.random.default_rng(seed)
    own, turned = (odds / (1 + odds) for odds in (place * item, place / item))
    upper = generator.binomial(choices, [own, turned], size=(readers, 2))
    lower = choices - upper
    return np.stack([upper[:, 0], lower[:, 0], upper[:, 1], lower[:, 1]], axis=1)


@pytest.mark.parametrize(("place", "item", "share"), [(2.0, 2.0, 0.5), (3.0, 1.0, 1.0), (1, 3, 0)])
def test_swapped_pairs_tell_place_from_item(place, item, share):
    found = position_bias(pairs(place, item), NOTHING)
    assert found.basis == "swapped_pairs"
    assert found.share == pytest.approx(share, abs=0.1)
    assert found.low <= share <= found.high
    assert (found.sample, found.units) == (4_800, 60)
    assert "Measured on 4800 choices between swapped pairs, by 60 readers." in found.text


def items(place, merit, count=200, seed=0):
    """Draw K-Blocks whose first places are `place` times as good; good ones stand there more."""
    generator = np.random.default_rng(seed)
    rate = generator.uniform(0.02, 0.2, count)
    lift = (rate / rate.mean()) ** merit
    shown = generator.poisson(50 * lift) + 1
    below = generator.poisson(50 / lift) + 1
    clicked = generator.binomial(shown, np.minimum(rate * place, 1))
    return np.stack([shown, clicked, below, generator.binomial(below, rate)], axis=1)


def test_the_same_items_tell_place_from_what_stands_there():
    plain = position_bias(NOTHING, items(2.0, merit=0))
    assert (plain.basis, plain.units) == ("same_items", 200)
    assert plain.share == pytest.approx(1, abs=0.1)
    mixed = position_bias(NOTHING, items(2.0, merit=1))
    assert mixed.share is not None
    assert mixed.low is not None
    assert mixed.high is not None
    assert 0.4 < mixed.share < 0.85
    assert mixed.low <= mixed.share <= mixed.high
    assert mixed.text.startswith("About")
    assert "No experiment" in mixed.text


def test_where_the_log_cannot_tell_it_says_so():
    few = np.array([[LEAST_CHOICES, 0, 0, 0]] * (LEAST_READERS - 1))
    for found in (position_bias(NOTHING, NOTHING), position_bias(few, items(2, 0, count=5))):
        assert (found.basis, found.share) == ("not_known", None)
        assert found.text.startswith("Not known")


def test_without_a_fall_there_is_no_share():
    found = position_bias(pairs(1.0, 1.0), NOTHING)
    assert (found.basis, found.share, found.low) == ("swapped_pairs", None, None)
    assert "does not clearly fall" in found.text
