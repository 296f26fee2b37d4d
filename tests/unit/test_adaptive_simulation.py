"""A/A tests with adaptive allocation, by the service's own code: few and small.

`python -m benchmarks.experiments --only aa-adaptive-service` does the same with a thousand.
"""

import numpy as np
import pytest
from benchmarks.experiments.adaptive_service import excludes_zero, simulate

RUNS, DAILY, DAYS = 30, 120, 5


@pytest.fixture(scope="module")
def found():
    return [
        simulate(np.random.default_rng([1, run]), f"test:{run}", DAILY, DAYS) for run in range(RUNS)
    ]


def test_hardly_any_claims_a_difference_where_there_is_none(found):
    # Of 30 with a probability of 5 % each, more than 4 are once in 60 times; the seeds are fixed.
    assert sum(excludes_zero(each.results) for each in found) <= 4
    assert not any(each.results.sample_ratio.fired for each in found)


def test_no_reader_changes_their_arm_though_allocations_do(found):
    assert sum(each.moved for each in found) == 0
    assert all(len(each.versions) > 1 for each in found)
    shares = [
        share for each in found for version in each.versions for share in version.shares.values()
    ]
    assert min(shares) >= 0.1
    assert max(shares) > 0.7
