"""Tastes: what is learned of readers, and what becomes of a score."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.services.readers.affinities import Affinities, AffinitySettings
from harken.services.readers.score_parts import EVERYBODYS, FORMER_PARTS, PARTS
from tests.support.touches import ACTIONS, DAY, START, touch

SECOND = 1_000_000
HOUR = 3_600 * SECOND
NOW = START + 2 * DAY
KBLOCKS = [f"k{i}" for i in range(12)]
FEW = AffinitySettings(min_interactions=1)

touches = st.lists(
    st.builds(
        touch,
        st.sampled_from(["ada", "bob", "cyd", "dan", "guest"]),
        st.sampled_from(KBLOCKS),
        st.integers(0, 2 * 86_400).map(lambda second: second * SECOND),
        st.sampled_from(ACTIONS),
        kind=st.sampled_from([None, "like", "comment"]),
        dwell=st.sampled_from([None, 0, 900, 60_000, 3_600_000]),
    ),
    max_size=60,
).map(lambda several: sorted(several, key=lambda each: each.at))


def described(affinities: Affinities) -> Affinities:
    for n, kblock in enumerate(KBLOCKS):
        affinities.describe(
            kblock,
            author=f"a{n % 3}",
            tags=[f"t{n % 2}", f"t{n % 5}"],
            principles=["p"] * (n % 4 == 0),
            layer=n % 3 or None,
            words=n * 100,
        )
    return affinities


def learned(several, settings=FEW) -> Affinities:
    affinities = described(Affinities(settings))
    for each in several:
        affinities.observe(each)
    return affinities


def total(affinities: Affinities, user="ada", kblocks=KBLOCKS, now=NOW) -> list[float]:
    scores: list[float] = affinities.score(user, kblocks, now).total.tolist()
    return scores


def order(affinities: Affinities, user="ada", kblocks=KBLOCKS) -> list[str]:
    scores = dict(zip(kblocks, total(affinities, user, kblocks), strict=True))
    return sorted(kblocks, key=lambda each: -scores[each])


# What a score is


@given(touches, st.sampled_from(["ada", "eve", "guest"]))
@settings(max_examples=60, deadline=None)
def test_a_score_is_the_weighted_sum_of_its_parts(several, user):
    scored = learned(several).score(user, [*KBLOCKS, "unknown"], NOW)
    expected = np.zeros(len(KBLOCKS) + 1)
    for name, weight in scored.weights.items():
        expected += weight * scored.parts[name]
    assert scored.total.tolist() == expected.tolist()
    assert np.isfinite(scored.total).all()
    assert list(scored.parts) == list(scored.weights) == list(PARTS)
    if not scored.is_personal:
        assert not any(part.any() for name, part in scored.parts.items() if name not in EVERYBODYS)


@given(touches)
@settings(max_examples=40, deadline=None)
def test_asking_changes_nothing(several):
    """Neither scores nor what is scratched together for them are left behind."""
    asked = described(Affinities(FEW))
    for each in several:
        for user in ("ada", "bob"):
            total(asked, user)
        asked.profile("ada", NOW)
        asked.observe(each)
    assert total(asked) == total(learned(several)) == total(asked)
    assert asked.profile("ada", NOW) == learned(several).profile("ada", NOW)


@given(touches, st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_each_score_is_its_own(several, size):
    """It does not depend on what else is scored."""
    affinities = learned(several)
    assert total(affinities, kblocks=KBLOCKS[:size]) == pytest.approx(
        total(affinities)[:size], abs=1e-12
    )


@given(touches)
@settings(max_examples=40, deadline=None)
def test_the_formula_written_once_more(several):
    """Slowly, for views that are not timed; see the docstrings for sources."""
    several = [
        each._replace(action="view", dwell_time_ms=None)
        for each in several
        if each.user_id != "guest"
    ]
    affinities = Affinities(FEW)
    for each in several:
        affinities.observe(each)
    if not any(each.user_id == "ada" for each in several):
        return
    last: dict[str, dict[str, float]] = {kblock: {} for kblock in KBLOCKS}
    likes: dict[str, dict[str, float]] = {}
    first: dict[str, float] = {}
    mine: dict[str, float] = {}
    for user, kblock, _, _, _, at in several:
        last[kblock][user] = (NOW - at) / SECOND
        likes.setdefault(user, {}).pop(kblock, None)
        likes[user][kblock] = at
        first.setdefault(kblock, at)
        if user == "ada":
            mine.setdefault(kblock, at)
    latest = last[list(likes["ada"])[-1]].keys() - {"ada"}
    for kblock, score in zip(KBLOCKS, total(affinities), strict=True):
        others = last[kblock].keys() - {"ada"}
        readers = len(last[kblock])
        ages = [last[kblock][each] for each in others]
        burst = math.log1p(sum(1 / (1 + t / 900) for t in ages) / 1e-4)
        fresh = -math.log1p((NOW - first.get(kblock, NOW)) / SECOND / 300)
        kin = sum(
            2 ** (-last[each]["ada"] / 86_400 / 30) / (len(likes[other]) + 5)
            for other in others
            for each in likes[other]
            if each in likes["ada"]
        )
        kinship = math.log((kin + 0.02) / (readers + 1) / 0.02)
        breadth = len(last[list(likes["ada"])[-1]]) + 1
        alike = len(latest & others) / math.sqrt(breadth * (readers + 1))
        passed = -math.log1p(sum(at >= first.get(kblock, NOW) for at in mine.values()))
        seen = -10.0 if kblock in likes["ada"] else 0.0
        crowd = len(likes) - 1
        share = crowd**2 / (crowd**2 + 15**2)
        of_others = burst + kinship + math.log1p(alike / 0.1) / 2
        expected = share * of_others + (0.3 + 0.7 * share) * (fresh / 4 + passed) + seen
        assert score == pytest.approx(expected, abs=1e-9)


@given(touches, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_others_at_the_same_time_may_come_in_any_order(several, chance):
    """Each of them does one thing in that second."""
    head = [each for each in several if each.user_id == "ada"]
    tied = [touch(f"other{n}", each.kblock_id, 2 * DAY, "view") for n, each in enumerate(several)]
    shuffled = tied.copy()
    chance.shuffle(shuffled)
    expected = pytest.approx(total(learned(head + tied)), abs=1e-12)
    assert total(learned(head + shuffled)) == expected


# Who gets which


def test_a_reader_with_few_interactions_gets_what_everybody_gets():
    affinities = learned(
        [touch("bob", each, n) for n, each in enumerate(KBLOCKS)], AffinitySettings()
    )
    for n in range(4):
        affinities.observe(touch("ada", "k1", HOUR + n))
        assert total(affinities) == total(affinities, "nobody")
    affinities.observe(touch("ada", "k1", HOUR + 4))
    assert affinities.score("ada", KBLOCKS, NOW).is_personal
    assert total(affinities) != total(affinities, "nobody")


def test_a_guest_is_nobody_and_counts_for_the_crowd():
    affinities = learned([])
    before = total(affinities, "bob")
    for n in range(30):
        affinities.observe(touch("guest", "k3", 2 * DAY - n * SECOND))
    assert not affinities.score("guest", KBLOCKS, NOW).is_personal
    assert affinities.profile("guest", NOW).interactions == 0
    assert total(affinities, "bob")[3] > before[3]


def opposite(affinities: Affinities, rounds=10):
    """Two readers, who each like one half, and dismiss some of the other."""
    for n in range(rounds):
        even, odd = f"k{2 * (n % 4)}", f"k{2 * (n % 4) + 1}"
        for user, liked, other in (("ada", even, odd), ("bob", odd, even)):
            affinities.observe(touch(user, liked, n * HOUR, "engage"))
            affinities.observe(touch(user, other, n * HOUR + 1, "dismiss"))


def test_opposite_tastes_part_and_come_back():
    """New items of either sort stand apart at the end, and in the first order after forgetting."""
    affinities = Affinities()
    news = [f"new{n}" for n in range(8)]
    for n, kblock in enumerate([*KBLOCKS, *news]):
        affinities.describe(kblock, tags=["even" if n % 2 == 0 else "odd"], created_at=START)
    start = order(affinities, kblocks=news)
    assert total(affinities, "ada", news) == total(affinities, "bob", news)
    opposite(affinities)
    evens, odds = set(news[::2]), set(news[1::2])
    assert set(order(affinities, "ada", news)[:4]) == evens
    assert set(order(affinities, "bob", news)[:4]) == odds
    for user in ("ada", "bob"):
        affinities.forget(user)
        assert order(affinities, user, news) == start
        assert total(affinities, user, news) == total(affinities, "nobody", news)


def test_who_likes_the_same_leads_to_what_they_found():
    """By what is done alone, without any content."""
    affinities = Affinities()
    for n in range(6):
        for user in ("ada", "kin"):
            affinities.observe(touch(user, f"common{n}", n * HOUR))
        affinities.observe(touch("stranger", f"other{n}", n * HOUR))
    affinities.observe(touch("kin", "found", DAY))
    affinities.observe(touch("stranger", "odd", DAY))
    assert order(affinities, "ada", ["odd", "found"]) == ["found", "odd"]
    assert total(affinities, "nobody", ["odd"]) == total(affinities, "nobody", ["found"])
    [neighbour] = affinities.profile("ada", NOW).neighbours
    assert neighbour.user_id == "kin"
    assert neighbour.similarity == pytest.approx(6 / math.sqrt(6 * 7))


# What counts, and how much


@pytest.mark.parametrize("by_content", [True, False])
def test_what_is_like_the_dismissed_sinks(by_content):
    def affinities(action):
        made = Affinities(FEW)
        for n, kblock in enumerate(["bad", "alike", "apart"]):
            if by_content:
                made.describe(kblock, tags=["dull"] if n < 2 else ["fine"], created_at=START)
        for n in range(4):  # these touch both, and have nothing to do with ada
            made.observe(touch(f"u{n}", "bad", n))
            made.observe(touch(f"u{n}", "alike", n))
            made.observe(touch(f"v{n}", "apart", n))
        made.observe(touch("ada", "bad", HOUR, action))
        return made

    neutral, dismissed = (affinities(action) for action in ("contradict", "dismiss"))
    before, after = (total(each, "ada", ["alike", "apart"]) for each in (neutral, dismissed))
    assert after[0] < before[0]
    assert after[1] == before[1]


def test_seen_items_sink_by_a_settable_amount():
    several = [touch("ada", "k1", n) for n in range(5)]
    scores = [
        total(learned(several, AffinitySettings(weights={"already_seen": weight})))[1]
        for weight in (0, 3)
    ]
    assert scores[0] - scores[1] == pytest.approx(3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"half_life": 0}, "must be more than 0"),
        ({"touches": 0}, "must be more than 0"),
        ({"weights": {"sense": 1.0}}, r"\['sense'\] are unknown; known are \['recent_activity', "),
        ({"weights": {"seen": 1.0, "already_seen": 1.0}}, "already_seen has two weights"),
    ],
)
def test_settings_that_cannot_be(wrong, message):
    with pytest.raises(ValueError, match=message):
        AffinitySettings(**wrong)


@pytest.mark.parametrize("former", FORMER_PARTS)
def test_weights_may_use_the_former_names_of_parts(former):
    present = FORMER_PARTS[former]
    assert present in PARTS
    assert former not in PARTS
    settings = AffinitySettings(weights={former: 0.125, "tags": 3.0})
    assert settings == AffinitySettings(weights={present: 0.125, "tags": 3.0})
    several = [touch("ada", "k1", n) for n in range(5)]
    affinities = learned(several, settings)
    scored = affinities.score("ada", KBLOCKS, NOW)
    assert affinities.weights == {**PARTS, present: 0.125, "tags": 3.0}
    assert settings.fixed == {present, "tags"}
    assert list(scored.parts) == list(PARTS)


def test_recent_interactions_weigh_more():
    affinities = described(Affinities())
    for n in range(3):
        affinities.observe(touch("ada", "k0", n, "engage"))  # by a0
    for n in range(3):
        affinities.observe(touch("ada", "k1", 60 * DAY + n, "engage"))  # by a1
    authors = affinities.profile("ada", START + 61 * DAY).authors
    assert 0 < authors["a0"] < authors["a1"]
    fade = 2.0 ** (-61 / 30)
    assert authors["a0"] == pytest.approx(2 * fade / (2 * fade + 5), rel=1e-3)


def worth(dwell, words=None, before=()):
    """The affinity that a timed view makes, with such views before it."""
    affinities = Affinities()
    for n, each in enumerate(before):
        affinities.describe(f"b{n}", words=words)
        affinities.observe(touch("ada", f"b{n}", n, dwell=each))
    affinities.describe("item", author="a", words=words)
    affinities.observe(touch("ada", "item", DAY, dwell=dwell))
    return affinities.profile("ada", START + DAY).authors["a"]


def test_time_counts_by_what_length_and_reader_suggest():
    usual = 1 / 6  # what a view counts, over itself and five
    assert worth(60_000, words=238) == pytest.approx(usual)
    assert worth(30_000) == pytest.approx(usual)
    assert worth(60_000, words=238 * 4) < usual < worth(60_000, words=60)
    assert worth(0) == 0
    assert worth(86_400_000, words=238) < 2 / 7
    # Who always takes two minutes is not fond of what takes one; who takes half a minute is.
    assert worth(60_000, 238, [120_000] * 9) < usual < worth(60_000, 238, [30_000] * 9)
    assert worth(60_000, None, [120_000] * 9) < usual < worth(60_000, None, [10_000] * 9)


def test_the_pace_of_a_reader():
    affinities = Affinities()
    affinities.describe("item", words=238)
    fresh = affinities.profile("ada", NOW)
    assert fresh.pace == 1
    assert fresh.typical_dwell == pytest.approx(30)
    for n in range(60):
        affinities.observe(touch("ada", "item", n, dwell=120_000))
    known = affinities.profile("ada", NOW)
    assert known.pace == pytest.approx(2, rel=0.12)
    assert known.typical_dwell == pytest.approx(120, rel=0.12)


def test_engaging_undoes_a_dismissal_and_viewing_does_not():
    affinities = described(Affinities())
    seen = []
    for n, action in enumerate(["engage", "view", "dismiss", "view", "engage"]):
        affinities.observe(touch("ada", "k1", n, action))
        seen.append(round(affinities.profile("ada", START).authors["a1"], 6))
    liked, disliked = round(2 / 7, 6), round(-2 / 7, 6)
    assert seen == [liked, liked, disliked, disliked, liked]


# Forgetting, and bounds


@given(touches)
@settings(max_examples=40, deadline=None)
def test_who_is_forgotten_is_a_fresh_reader(several):
    affinities = learned(several)
    others = affinities.profile("bob", NOW), total(affinities, "bob")
    affinities.forget("ada")
    assert total(affinities, "ada") == total(affinities, "nobody")
    assert affinities.profile("ada", NOW) == affinities.profile("nobody", NOW)
    profile, scores = others
    assert total(affinities, "bob") == scores
    kept = [each for each in profile.neighbours if each.user_id != "ada"]
    assert list(affinities.profile("bob", NOW).neighbours) == kept
    affinities.observe(touch("ada", "k1", 2 * DAY))
    assert affinities.profile("ada", NOW).interactions == 1


@given(touches, st.integers(0, 2 * 86_400))
@settings(max_examples=60, deadline=None)
def test_who_is_forgotten_up_to_a_time_is_a_reader_of_what_followed(several, second):
    before = START + second * SECOND
    affinities = learned(several)
    affinities.forget("ada", before)
    late = learned(each for each in several if each.user_id != "ada" or each.at >= before)
    ours, expected = (each.profile("ada", NOW) for each in (affinities, late))
    assert ours == expected


def test_what_is_remembered_is_bounded():
    affinities = Affinities(AffinitySettings(touches=20, recent_readers=8))
    for n in range(2_000):
        affinities.describe(f"k{n}", tags=[f"t{n}"])
        affinities.observe(touch("ada", f"k{n}", n * SECOND))
        affinities.observe(touch(f"u{n}", "k0", n * SECOND))
    profile = affinities.profile("ada", NOW)
    assert profile.interactions == len(profile.tags) == 20
    assert set(profile.tags) == {f"t{n}" for n in range(1_980, 2_000)}
    burst = affinities.score("nobody", ["k0"], START + 2_000 * SECOND).parts["recent_activity"]
    # Of 2,000 readers, the last eight.
    assert burst[0] == pytest.approx(math.log(8 / 1e-4), abs=0.01)


def test_late_events_count_at_their_time():
    late = [touch("ada", "k1", DAY), touch("ada", "k1", HOUR), touch("bob", "k1", HOUR)]
    assert total(learned(late), "eve") == total(learned(sorted(late, key=lambda e: e.at)), "eve")
