"""Features: those of a point in time, whichever way they are computed."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.services.features.names import (
    DESCRIPTIONS,
    FAMILIES,
    NAMES,
    PERSONAL_SCORE,
    RANKED,
    family,
    meaning,
)
from harken.services.features.state import Features
from harken.services.learning.impressions import Event, Window
from harken.services.readers.affinities import Affinities
from harken.services.readers.score_parts import PARTS
from tests.support.raw_features import Raw
from tests.support.touches import DAY, author_of, events, tag_of, touch


def choices(log):
    """Yield the number of each event that is a choice, with its candidates."""
    window = Window()
    for n, event in enumerate(log):
        if (impression := window.impression(event)) is not None:
            yield n, impression.candidates
        window.observe(event, counted=False)


def kept_up(log, wanted, make=Features):
    """Return the matrices of some choices, from a state that walks along the log."""
    features, found = make(), {}
    describe(features.affinities, log)
    for n, event in enumerate(log):
        if n in wanted:
            found[n] = features.matrix(event.touch.user_id, wanted[n], event.touch.at)
        features.see(event.touch)
    return found


def describe(affinities, log):
    """Give each K-Block of a log its author and its tag."""
    for kblock_id in {event.touch.kblock_id for event in log}:
        affinities.describe(kblock_id, author=author_of(kblock_id), tags=[tag_of(kblock_id)])


def a_log(seed):
    """Make one in which readers come for several things at a time."""
    log = []
    for n, (each, *_) in enumerate(events(seed, count=1_200)):
        log.append(Event(each))
        if n % 3 == 0 and each.user_id != "guest":
            log.append(Event(each._replace(kblock_id=f"k{n // 9}", at=each.at + 1_000_000)))
    return sorted(log, key=lambda event: event.touch.at)


@pytest.fixture(scope="module", params=[0, 1])
def walked(request):
    log = a_log(request.param)
    wanted = dict(islice(choices(log), 0, None, 9))
    assert len(wanted) > 8
    return log, wanted, kept_up(log, wanted)


def test_what_is_kept_up_is_what_the_raw_log_says(walked):
    log, wanted, found = walked
    compared: set[str] = set()
    for n, candidates in wanted.items():
        asked = log[n].touch
        raw = Raw([event.touch for event in log[:n]])
        rows = [raw.row(asked.user_id, each, asked.at / 1e6, candidates) for each in candidates]
        compared |= rows[0].keys()
        for name in rows[0]:
            expected = [float(row[name]) for row in rows]
            ours = found[n][:, NAMES.index(name)].tolist()
            assert ours == pytest.approx(expected, rel=2e-5, abs=1e-6), name
    ranks = {f"rank_{name}" for name in RANKED}
    assert set(NAMES) - compared == {*PARTS, *ranks, PERSONAL_SCORE, "share_of_newer"}


def test_the_parts_of_tastes_are_what_tastes_says(walked):
    log, wanted, found = walked
    affinities = Affinities()
    describe(affinities, log)
    for n, event in enumerate(log):
        asked = event.touch
        if n in wanted:
            scored = affinities.score(asked.user_id, wanted[n], asked.at)
            for name, part in {**scored.parts, PERSONAL_SCORE: scored.total}.items():
                ours = found[n][:, NAMES.index(name)]
                assert ours.tolist() == np.asarray(part, np.float32).tolist(), name
        affinities.observe(asked)
    for name in ("authors", "tags"):
        assert any(matrix[:, NAMES.index(name)].any() for matrix in found.values())


def test_ranks_are_the_share_of_those_that_have_more(walked):
    _, _, found = walked
    for matrix in found.values():
        for name in RANKED:
            values = matrix[:, NAMES.index(name)].astype(float)
            for own, rank in zip(values, matrix[:, NAMES.index(f"rank_{name}")], strict=True):
                # In the matrix's precision some more may tie.
                fewest = (values > own).sum() / (len(values) - 1)
                most = ((values >= own).sum() - 1) / (len(values) - 1)
                assert fewest - 1e-6 <= rank <= most + 1e-6


# Nobody peeks


def is_of_a_point_in_time(make, log):
    """Tell whether features stay what they were when the event in question and what follows change.

    `make` is given the whole log, as a leaking state might be.
    """
    wanted = dict(islice(choices(log), 0, None, 11))
    before = kept_up(log, wanted, lambda: make(log))
    for n in [*wanted][::3]:
        own = log[n].touch
        other = next(each for each in wanted[n] if each != own.kblock_id)
        changed = [*log[:n], Event(own._replace(kblock_id=other, action="engage"))]
        changed += [Event(each.touch._replace(user_id="else")) for each in log[n + 1 :]]
        after = kept_up(changed, {n: wanted[n]}, lambda changed=changed: make(changed))
        if not np.array_equal(before[n], after[n]):
            return False
    return True


class Peeking(Features):
    """Sees each event before it is asked about it."""

    def __init__(self, log):
        super().__init__()
        self.log = iter(log)
        self.see_next()

    def see_next(self):
        if (event := next(self.log, None)) is not None:
            super().see(event.touch)

    def see(self, touch):  # noqa: ARG002 — it sees another
        self.see_next()


class Counting(Features):
    """Knows of each K-Block how often it will have been touched."""

    def __init__(self, log):
        super().__init__()
        self.log = [event.touch.kblock_id for event in log]

    def matrix(self, user_id, kblock_ids, now):
        found = super().matrix(user_id, kblock_ids, now)
        found[:, NAMES.index("readers_ever")] = [self.log.count(each) for each in kblock_ids]
        return found


def test_features_are_those_of_a_point_in_time():
    assert is_of_a_point_in_time(lambda _: Features(), a_log(2))


@pytest.mark.parametrize("leaking", [Peeking, Counting])
def test_a_leak_is_found(leaking):
    assert not is_of_a_point_in_time(leaking, a_log(2))


# What else is asked of them


def test_every_feature_has_one_family():
    assert len(set(NAMES)) == len(NAMES)
    assert {family(name) for name in NAMES} == FAMILIES.keys() == DESCRIPTIONS.keys()


def test_every_feature_has_a_meaning_of_one_line():
    meanings = {name: meaning(name) for name in NAMES}
    assert all(each and each[0] != " " and "\n" not in each for each in meanings.values())
    parts = [
        name for name in NAMES if meanings[name] == "the part of the personal score of this name"
    ]
    assert set(parts) < {*PARTS}
    rest = [meanings[name] for name in NAMES if name not in parts]
    assert len(set(rest)) == len(rest)
    for unknown in ("luck", "rank_luck", "rank_age", ""):
        with pytest.raises(KeyError):
            meaning(unknown)


@pytest.mark.parametrize("user", ["u1", "guest", "nobody"])
def test_whatever_is_asked_has_features(user):
    features = Features()
    assert features.matrix(user, [], 0).shape == (0, len(NAMES))
    assert np.isfinite(features.matrix(user, ["unknown"], 0)).all()
    log = [event.touch for event in events(9, count=400)]
    for each in log:
        features.see(each)
    kblocks = ["unknown", *dict.fromkeys(each.kblock_id for each in log)]
    for now in (log[-1].at, log[0].at, log[-1].at + 900 * DAY):
        forth = features.matrix(user, kblocks, now)
        assert np.isfinite(forth).all()
        assert forth.dtype == np.float32
        assert np.allclose(features.matrix(user, kblocks[::-1], now)[::-1], forth, rtol=1e-5)


def test_what_comes_late_counts_as_if_it_had_come_in_time():
    log = [touch("ada", "k", 0), touch("bob", "k", DAY), touch("cy", "k", DAY // 2, "engage")]
    [forth, back] = [Features(), Features()]
    for each in log:
        forth.see(each)
    for each in log[::-1]:
        back.see(each)
    now = log[0].at + 2 * DAY
    names = [name for name in FAMILIES["recency_and_activity"] if name != "freshness"]
    columns = [NAMES.index(name) for name in names]
    [in_time, late] = [each.matrix("eve", ["k"], now)[:, columns] for each in (forth, back)]
    assert np.allclose(late, in_time, rtol=1e-6)


@settings(max_examples=25)
@given(st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_what_recalled_readers_did_may_be_traced_in_any_order(count, seed):
    chance, features = np.random.default_rng(seed), Features()
    log = [
        touch(f"u{chance.integers(2)}", f"k{chance.integers(300)}", n * 60_000_000)
        for n in range(count)
    ]
    for user in ("u0", "u1"):
        features.recall(user, [each for each in log if each.user_id == user][-200:])
    for place in chance.permutation(count).tolist():
        features.trace(log[place], is_recalled=True)
    found = features.matrix("u0", [f"k{n}" for n in range(300)], log[-1].at)
    assert np.isfinite(found).all()
