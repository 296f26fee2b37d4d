"""Planted position bias: readers click what is at the top, and a model is not taken in by it."""

from dataclasses import replace

import pytest

from harken.services.learning.ranker import POSITION, RankerSettings, train
from tests.support.biased_slates import Size, draw, examples_before, true_ndcg

SIZE = Size(readers=40, kblocks=500, days=35)
SETTINGS = RankerSettings(fewest=300)


@pytest.fixture(scope="module")
def found():
    biased = draw(1, 1.0, SIZE)
    examples, cut = examples_before(biased, 7)
    assert all(example.positions is not None for example in examples)
    with_it, without = (train(examples, replace(SETTINGS, position=each)) for each in (True, False))
    assert with_it is not None
    assert without is not None
    models = {"with": with_it, "without": without}
    return models, true_ndcg(biased, models, cut)


def test_training_with_positions_beats_training_without(found):
    models, ndcg = found
    assert models["with"].names[-1] == POSITION
    assert POSITION not in models["without"].names
    better = (ndcg["with"] - ndcg["without"]).mean(axis=1)
    # For the readers in the mean, by far, and for most of them.
    assert better.mean() > 0.02
    assert (better > 0).mean() > 0.6
