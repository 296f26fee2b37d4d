"""Replay: the protocol, and that no information leaks from the future."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.errors import InvalidInput
from harken.services.evaluation.metrics import evaluate, gains
from harken.services.evaluation.rankings import RANKERS, Options, make_rankers
from harken.services.evaluation.replay import ask, rank_of, replay
from harken.services.learning.impressions import Event
from tests.support.touches import DAY, START, events, touch

MINUTE = 60_000_000


# ruff: noqa: ARG002 — some rankers ignore some of their arguments
# A second implementation: slow and short


def by_hand(log, score):
    """Return the ranks by a function of (earlier events, the K-Block, now)."""
    ranks, touches = [], [event.touch for event in log]
    first: dict[str, int] = {}
    for each in touches:
        first.setdefault(each.kblock_id, each.at)
    for n, each in enumerate(touches):
        past = touches[:n]
        mine = {t.kblock_id for t in past if t.user_id == each.user_id}
        fresh = {t.kblock_id for t in past if first[t.kblock_id] >= each.at - 14 * DAY}
        choice = each.user_id != "guest" and each.action in {"view", "engage"}
        candidates = fresh - mine
        due = n and each.at >= touches[0].at + 30 * DAY
        if choice and due and each.kblock_id in candidates and len(candidates) > 20:
            scores = {kblock: score(past, kblock, each.at) for kblock in candidates}
            own = scores.pop(each.kblock_id)
            others = list(scores.values())
            ranks.append(1 + sum(o > own for o in others) + others.count(own) / 2)
    return ranks


def oldest(past, kblock, now):
    return min(t.at for t in past if t.kblock_id == kblock)


def popular(past, kblock, now):
    return sum(t.kblock_id == kblock and t.action in {"view", "engage"} for t in past)


def trend(past, kblock, now):
    worth = {"view": 1, "engage": 1, "dismiss": -1}
    # Rounded, since equal sums in another order may differ in the last digit.
    terms = (
        worth.get(t.action, 0) * 2.0 ** ((t.at - now) / (DAY / 4))
        for t in past
        if t.kblock_id == kblock
    )
    return sum(terms)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_three_rankings_agree_with_a_computation_by_hand(seed):
    log = events(seed)
    ours = replay(log, make_rankers(["chronological", "popularity", "trending"]))
    assert len(ours.users) > 200
    assert ours.ranks["chronological"].tolist() == by_hand(log, oldest)
    assert ours.ranks["popularity"].tolist() == by_hand(log, popular)
    assert ours.ranks["trending"].tolist() == by_hand(log, trend)


# No leakage


class Spy:
    """Records the requests to a ranking, and its scores."""

    def __init__(self, ranker):
        self.ranker = ranker
        self.asked = {}
        self.seen = 0

    def observe(self, touch):
        self.ranker.observe(touch)
        self.seen += 1

    def score(self, user_id, kblock_ids, now):
        scores = self.ranker.score(user_id, kblock_ids, now)
        self.asked[self.seen] = user_id, kblock_ids, now, scores.tolist()
        return scores


def asked(log, name):
    spy = Spy(make_rankers([name])[name])
    replay(log, {name: spy})
    return spy.asked


@pytest.mark.parametrize("name", RANKERS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_what_comes_is_out_of_reach(name, data):
    """With another choice and another future, the scores and the candidates stay the same."""
    log = events(3, count=900)
    before = asked(log, name)
    n = data.draw(st.sampled_from(sorted(before)))
    _, candidates, _, _ = before[n]
    other = data.draw(st.sampled_from(candidates))
    tail = data.draw(st.randoms(use_true_random=False))
    later = [event.touch for event in log[n + 1 :]]
    tail.shuffle(later)
    changed = [
        *log[:n],
        Event(log[n].touch._replace(kblock_id=other, interaction_type="comment")),
        *(Event(each._replace(at=max(each.at, log[n].touch.at + 1))) for each in later),
    ]
    assert asked(changed, name)[n] == before[n]


class Leaking:
    """A ranking that was given the future."""

    def __init__(self, log):
        self.log = [event.touch for event in log]
        self.seen = 0

    def observe(self, touch):
        self.seen += 1

    def score(self, user_id, kblock_ids, now):
        answer = self.log[self.seen].kblock_id
        return np.array([float(each == answer) for each in kblock_ids])


def test_who_peeks_is_found_out():
    """A ranking by scores that no honest ranking can have."""
    log = events(4)
    found = evaluate(replay(log, {"leaking": Leaking(log)} | make_rankers(list(RANKERS))))
    for name, slices in found.rankings.items():
        metrics = slices["all"]
        assert metrics is not None
        if name == "leaking":
            assert set(metrics.values.values()) == {1.0}
        else:
            assert max(metrics.values.values()) < 0.9


def test_events_at_the_same_time_keep_their_order():
    log = events(5, count=900)
    spies = asked(log, "trending")
    assert any(a.touch.at == b.touch.at for a, b in pairwise(log))
    for n, (user_id, _, now, _) in spies.items():
        assert (log[n].touch.user_id, log[n].touch.at) == (user_id, now)


@pytest.mark.parametrize("name", RANKERS)
def test_every_ranking_answers_whatever_it_is_asked(name):
    """Rankings score unknown readers, unknown K-Blocks and none; scoring changes nothing."""
    log = [event.touch for event in events(9, count=400)]
    [asked, silent] = [make_rankers([name])[name] for _ in range(2)]
    kblocks = tuple(dict.fromkeys(each.kblock_id for each in log))
    for user in ("u1", "guest", "nobody"):
        assert ask(asked, user, ("unknown",), START).shape == (1,)
        assert ask(asked, user, (), START).shape == (0,)
    for each in log:
        ask(asked, each.user_id, ("unknown", *kblocks[:30]), each.at)
        asked.observe(each)
        silent.observe(each)
    for user in ("u1", "guest", "nobody"):
        forth = ask(asked, user, kblocks, log[-1].at)
        assert forth.tolist() == ask(silent, user, kblocks, log[-1].at).tolist()
        back = ask(asked, user, kblocks[::-1], log[-1].at)[::-1]
        assert back.tolist() == pytest.approx(forth.tolist(), rel=1e-12)


# The protocol


def crowd(count=25, at=0):
    return [Event(touch("maker", f"k{i}", at + i)) for i in range(count)]


def impressions(log, **more):
    spy = Spy(make_rankers(["popularity"])["popularity"])
    return replay([Event(touch("first", "k", -31 * DAY)), *log], {"p": spy}, **more), spy.asked


def test_an_impression_is_a_first_touch_of_what_another_touched():
    log = [
        *crowd(),
        Event(touch("ada", "new", DAY)),  # nobody touched it before
        Event(touch("ada", "k1", DAY + 1)),
        Event(touch("ada", "k1", DAY + 2, "engage")),  # not the first touch
        Event(touch("guest", "k2", DAY + 3)),
        Event(touch("ada", "k3", DAY + 4, "dismiss")),
        Event(touch("ada", "k3", DAY + 5)),  # no longer the first
        Event(touch("ada", "k4", DAY + 6, "engage")),
    ]
    _, asked = impressions(log)
    assert [now - START for _, _, now, _ in asked.values()] == [DAY + 1, DAY + 6]
    offered = [set(kblocks) for _, kblocks, _, _ in asked.values()]
    assert offered[0] == {f"k{i}" for i in range(25)}
    assert offered[1] == {f"k{i}" for i in range(25)} - {"k1", "k3"}


@pytest.mark.parametrize(("size", "expected"), [(20, 0), (21, 1)])
def test_few_candidates_make_no_choice(size, expected):
    found, _ = impressions([*crowd(size), Event(touch("ada", "k1", DAY))])
    assert len(found.users) == expected


@pytest.mark.parametrize(("after", "expected"), [(14 * DAY, 1), (14 * DAY + 1, 0)])
def test_news_are_14_days_old_at_most(after, expected):
    log = [*crowd(30, at=5), Event(touch("ada", "k0", after + 5))]
    assert len(impressions(log)[0].users) == expected


@pytest.mark.parametrize(("at", "expected"), [(30 * DAY - 1, 0), (30 * DAY, 1)])
def test_the_first_30_days_are_learned_from(at, expected):
    log = [Event(touch("first", "k")), *crowd(25, 25 * DAY), Event(touch("ada", "k1", at))]
    assert len(replay(log, make_rankers(["popularity"])).users) == expected


def test_what_is_not_scored_is_learned_from():
    log = events(6)
    since = log[len(log) * 2 // 3].touch.at
    whole, part = (
        replay(log, make_rankers(["trending", "personal"]), score_from)
        for score_from in (None, since)
    )
    assert 0 < len(part.users) < len(whole.users)
    for name in ("trending", "personal"):
        assert part.ranks[name].tolist() == whole.ranks[name][-len(part.users) :].tolist()


def test_the_slices():
    log = [
        *crowd(),
        Event(touch("ada", "k1", DAY)),
        Event(touch("ada", "k2", DAY + 10 * MINUTE)),
        Event(touch("bob", "k2", DAY + 40 * MINUTE)),  # half an hour later: not yet cold
        Event(touch("ada", "k1", DAY + 50 * MINUTE)),  # another visit, and no impression
        Event(touch("ada", "k3", DAY + 60 * MINUTE)),  # its first one
    ]
    found, _ = impressions(log)
    assert found.slices["cold"].tolist() == [True, True, False, True]
    assert found.slices["session_first"].tolist() == [True, False, True, True]


def test_sessions_that_a_log_names():
    log = [
        *crowd(),
        Event(touch("ada", "k1", DAY), "a"),
        Event(touch("ada", "k2", DAY + 1), "b"),
        Event(touch("ada", "k3", DAY + 99 * MINUTE), "a"),
        Event(touch("bob", "k4", DAY + 99 * MINUTE), "a"),
    ]
    assert impressions(log)[0].slices["session_first"].tolist() == [True, True, False, True]


def test_ties_count_half():
    scores = np.array([3.0, 1.0, 1.0, 1.0, 0.0])
    assert [rank_of(scores, place) for place in range(5)] == [1, 3, 3, 3, 5]


@pytest.mark.parametrize("scores", [[1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_a_score_that_is_none_is_an_error(scores):
    class Broken:
        def observe(self, touch): ...

        def score(self, user_id, kblock_ids, now):
            return np.array(scores)

    with pytest.raises(ValueError, match="Broken must return a finite score"):
        ask(Broken(), "ada", ("a", "b"), 0)


def test_gains():
    assert gains(np.array([1.0, 5.5, 10.0, 10.5])).tolist() == [
        [1, 1, 1, 1],
        [0, 1, 1 / 5.5, 1 / np.log2(6.5)],
        [0, 1, 0.1, 1 / np.log2(11)],
        [0, 0, 1 / 10.5, 0],
    ]


def test_rankings_by_name():
    assert list(make_rankers(["trending", "personal"])) == ["trending", "personal"]
    with pytest.raises(InvalidInput, match="did you mean trending") as refused:
        make_rankers(["trendy"])
    assert all(name in str(refused.value) for name in RANKERS)


def test_the_half_life_is_that_of_the_trend():
    [short, long] = [
        make_rankers(["trending"], Options(timedelta(hours=h)))["trending"] for h in (1, 100)
    ]
    for ranker in (short, long):
        for n in range(3):
            ranker.observe(touch("ada", "often", n))
        ranker.observe(touch("ada", "late", 4 * DAY // 24))
    now = START + DAY
    assert np.diff(short.score("bob", ["often", "late"], now)) > 0
    assert np.diff(long.score("bob", ["often", "late"], now)) < 0


def test_nothing_to_measure():
    found = evaluate(replay([], make_rankers(["popularity"])))
    assert found.as_json() == {
        "events": 0, "impressions": 0, "readers": 0, "pairs": [],
        "rankings": {"popularity": {"impressions": 0, "cold": None, "session_first": None}},
    }  # fmt: skip
