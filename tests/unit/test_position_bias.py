"""Planted position bias: readers click at the top, and a model with positions corrects for it."""

from dataclasses import replace

import numpy as np
import pytest

from harken.services.learning.ranker import POSITION, RankerSettings, train
from tests.support.biased_slates import draw, examples_before, true_ndcg

SEEDS = (1, 2)
SETTINGS = RankerSettings(fewest=300, base_below=0)


def differences(seed: int) -> np.ndarray:
    """Return the gain of each reader of a world, by the ground truth."""
    biased = draw(seed, 1.0)
    examples, cut = examples_before(biased, 7)
    assert all(example.positions is not None for example in examples)
    with_it, without = (train(examples, replace(SETTINGS, position=each)) for each in (True, False))
    assert with_it is not None
    assert without is not None
    assert with_it.names[-1] == POSITION
    assert POSITION not in without.names
    ndcg = true_ndcg(biased, {"with": with_it, "without": without}, cut)
    return np.asarray((ndcg["with"] - ndcg["without"]).mean(axis=1))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_training_with_positions_beats_training_without():
    better = np.concatenate([differences(seed) for seed in SEEDS])
    error = better.std() / np.sqrt(len(better))
    assert better.mean() > 1.96 * error
    assert (better > 0).mean() > 0.6
