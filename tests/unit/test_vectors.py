"""Directions of K-Blocks: near is what readers of one taste come to."""

import numpy as np

from harken.services.features.names import NAMES
from harken.services.features.state import Features
from harken.services.features.vectors import Vectors
from tests.support.touches import DAY, START, touch


def test_what_readers_of_one_taste_come_to_is_near_without_a_reader_in_common():
    features, generator = Features(), np.random.default_rng(0)
    at = 0
    for n in range(240):
        team = n % 2
        for reader in generator.choice(12, 2, replace=False):
            at += DAY // 500
            features.see(touch(f"{team}-{reader}", f"{team}/{n // 8}", at))
    for reader, kblock in (("0-0", "near"), ("1-0", "far")):
        features.see(touch(reader, kblock, at := at + 1_000_000))
    features.see(touch("0-1", "mine", at := at + 1_000_000))
    asked = features.matrix("0-1", ["near", "far"], START + at + 1_000_000)
    for name in ("near_taste", "near_visit", "near_lately", "nearest"):
        near, far = asked[:, NAMES.index(name)]
        assert near > far + 0.1, name


def test_of_what_nobody_touched_nothing_is_known():
    vectors = Vectors()
    vectors.see(1, "a", [])
    assert not vectors.of(np.array([0, 9, 900])).any()
    assert not vectors.taste([]).any()
    assert not vectors.taste([700]).any()


def test_a_guest_gives_a_kblock_its_own_direction_and_draws_it_nowhere():
    vectors, other = Vectors(), Vectors()
    for each in (vectors, other):
        each.see(1, "a", [])
        each.see(2, "b", [1])
    before = vectors.of(np.array([1, 2]))
    vectors.see(2, "b", None)
    assert np.array_equal(vectors.of(np.array([1, 2])), before)
    assert np.array_equal(other.of(np.array([1, 2])), before)
