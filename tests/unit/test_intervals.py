"""Intervals and tests over readers."""

from itertools import product

import numpy as np
import pytest

from harken.services.evaluation.intervals import bootstrap, interval, per_user, sign_flips


def test_sums_of_users():
    values = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    assert per_user(values, np.array([1, 0, 1])).tolist() == [[2.0, 20.0], [5.0, 50.0]]


def test_the_bootstrap_draws_readers_with_all_that_they_did():
    """Compute the same with a loop instead of vectors, from the same distribution."""
    chance = np.random.default_rng(1)
    counts = chance.integers(1, 30, 80).astype(float)
    sums = chance.binomial(counts.astype(int), chance.random(80)).astype(float)
    ours = interval(bootstrap(sums[:, None], counts)[:, 0])
    picks = [chance.integers(0, 80, 80) for _ in range(4_000)]
    loop = interval([sums[pick].sum() / counts[pick].sum() for pick in picks])
    assert ours == pytest.approx(loop, abs=0.01)
    # Much wider than with each event as an independent sample.
    share = sums.sum() / counts.sum()
    naive = 3.92 * (share * (1 - share) / counts.sum()) ** 0.5
    assert ours.high - ours.low > 1.5 * naive


def test_the_bootstrap_is_repeatable_and_its_columns_share_the_draws():
    sums = np.random.default_rng(2).random((50, 1))
    both = bootstrap(np.concatenate([sums, sums], axis=1), np.ones(50), seed=7)
    assert (both[:, 0] == both[:, 1]).all()
    assert (both == bootstrap(np.concatenate([sums, sums], axis=1), np.ones(50), seed=7)).all()
    assert (both != bootstrap(np.concatenate([sums, sums], axis=1), np.ones(50), seed=8)).any()


def test_sign_flips_agree_with_all_of_them():
    apart = np.array([3.0, -1.0, 2.0, 0.5, 4.0, 1.5, -0.5, 2.5])
    flipped = [abs(np.dot(signs, apart)) for signs in product((1, -1), repeat=len(apart))]
    exact = np.mean(np.array(flipped) >= abs(apart.sum()))
    assert sign_flips(apart[:, None])[0] == pytest.approx(exact, abs=0.01)


def test_no_difference_is_no_surprise():
    assert sign_flips(np.zeros((20, 3))).tolist() == [1.0, 1.0, 1.0]


def test_a_difference_that_all_readers_share_is_one():
    assert sign_flips(np.ones((40, 1)))[0] == pytest.approx(1e-4, abs=1e-4)
