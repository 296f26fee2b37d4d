"""Pairs of readers: what they have in common, counted once, and bounded."""

import pickle
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.services.features.state import Features
from harken.services.readers.history import Touch
from harken.services.readers.reader_pairs import ReaderPairs
from tests.support.touches import DAY, START, touch

HOUR = DAY // 24
KBLOCKS = [f"k{n}" for n in range(6)]

logs = st.lists(
    st.builds(
        touch,
        st.sampled_from(["ada", "bob", "cy", "guest"]),
        st.sampled_from(KBLOCKS),
        st.integers(0, 80 * 60).map(lambda minutes: minutes * 60_000_000),
        st.sampled_from(["view", "engage", "dismiss"]),
    ),
    max_size=40,
).map(lambda several: sorted(several, key=lambda each: each.at))


def by_name(features: Features, user: str) -> dict[str, tuple[int, int]]:
    """Return a reader's counts by the ids of the others."""
    reader = features.affinities.history(user)
    if reader is None:
        return {}
    rows = zip(*(each.tolist() for each in features.pairs.of(reader.number)), strict=True)
    found = {number: (int(common), int(ahead)) for number, common, ahead in rows}
    known = {each: features.affinities.history(each) for each in ("ada", "bob", "cy")}
    return {
        each: found[other.number]
        for each, other in known.items()
        if other is not None and other.number in found
    }


def counted(log: list[Touch], user: str) -> dict[str, tuple[int, int]]:
    """Count from the raw log."""
    standing: dict[str, dict[str, int]] = defaultdict(dict)
    touched: set[tuple[str, str]] = set()
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for each in log:
        there, key = standing[each.kblock_id], (each.user_id, each.kblock_id)
        if each.action in {"view", "engage"} and each.user_id != "guest":
            for other, then in there.items() if key not in touched else ():
                gap = each.at - then
                if user in (each.user_id, other) and other != each.user_id:
                    met = found[other if user == each.user_id else each.user_id]
                    is_ahead = gap < DAY if user == each.user_id else gap == 0
                    met.update({"common": 1, "ahead": is_ahead})
            there[each.user_id] = each.at
        elif each.action == "dismiss":
            there.pop(each.user_id, None)
        touched.add(key)
    return {other: (counts["common"], counts["ahead"]) for other, counts in found.items()}


def seen(log: list[Touch]) -> Features:
    features = Features()
    for each in log:
        features.see(each)
    return features


@given(logs)
@settings(max_examples=80, deadline=None)
def test_pairs_are_what_the_raw_log_says(log):
    features = seen(log)
    for user in ("ada", "bob", "cy"):
        assert by_name(features, user) == counted(log, user)


@given(logs, st.data())
@settings(max_examples=80, deadline=None)
def test_an_event_that_is_recalled_first_counts_once(log, data):
    """A reader's events may reach the affinities before the traces: see `Features.trace`."""
    log = [each for each in log if each.action != "dismiss"]
    own = [each for each in log if each.user_id == "ada"]
    first = data.draw(st.integers(0, len(log)))
    features = seen(log[:first])
    features.recall("ada", own)
    for each in log[first:]:
        if each.user_id == "ada":
            features.trace(each, is_recalled=True)
        else:
            features.see(each)
    features.recall("ada", own)
    for user in ("ada", "bob", "cy"):
        ours = {other: common for other, (common, *_) in by_name(features, user).items()}
        expected = {other: common for other, (common, *_) in counted(log, user).items()}
        assert ours == expected


def test_who_resets_their_profile_has_nothing_in_common_with_anybody():
    log = [touch(user, f"k{n}", n * HOUR) for n in range(5) for user in ("ada", "bob")]
    features = seen(log)
    assert by_name(features, "ada") == {"bob": (5, 5)}
    features.recall("ada", log[-2:-1], START + 4 * HOUR)
    assert by_name(features, "ada") == by_name(features, "bob") == {}
    for user in ("ada", "bob"):
        features.see(touch(user, "k9", 9 * HOUR))
    features.recall("ada", [log[-2], touch("ada", "k9", 9 * HOUR)], START + 4 * HOUR)
    assert by_name(features, "ada") == {"bob": (1, 1)}


@pytest.mark.parametrize("width", [4, 16])
def test_a_reader_has_a_bounded_number_of_pairs_the_strongest_ones(width):
    pairs, friends = ReaderPairs(width), range(2, 2 + width // 2)
    chance = np.random.default_rng(0)
    for n in range(600):
        strangers = chance.integers(1_000, 100_000, 3).tolist()
        pairs.see(1_000_000, float(n))
        others = np.array([*{*friends, *strangers}])
        pairs.meet(1_000_000, float(n), others, np.full(len(others), n - 60.0))
        assert len(pairs.of(1_000_000).readers) <= 2 * width
    kept = pairs.of(1_000_000)
    strongest = kept.readers[np.argsort(-kept.common)][: len(friends)]
    assert set(strongest.tolist()) == {*friends}
    assert sorted(kept.common.tolist())[-len(friends) :] == [600.0] * len(friends)


def test_the_size_does_not_grow_with_the_log():
    """With readers and K-Blocks that stay, four times the events take no more memory."""
    chance, sizes = np.random.default_rng(1), []
    pairs = ReaderPairs(8)
    for n in range(8_000):
        reader, *others = chance.permutation(60)[:6].tolist()
        pairs.see(reader + 2, float(n))
        pairs.meet(reader + 2, float(n), np.array(others) + 2, np.full(len(others), n - 1.0))
        if n in (1_999, 7_999):
            sizes.append(len(pickle.dumps(pairs)))
    assert sizes[1] < 1.25 * sizes[0]
