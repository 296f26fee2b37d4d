"""How alike K-Blocks are."""

import numpy as np
import pytest

from harken.services.index.index import Index
from harken.services.index.rows import IndexRow
from harken.services.personal.similarity import (
    CO_ENGAGED,
    NEIGHBOURING_READERS,
    NEIGHBOURS,
    Content,
    by_behaviour,
    by_content,
    co_engaged_rows,
    co_engaged_with,
    recently_liked_by,
    sharing_labels,
)
from harken.services.readers.affinities import Affinities
from tests.support.touches import DAY, START, touch


def labelled(tags: tuple[str, ...] = (), author: str | None = None) -> Content:
    return Content(frozenset(tags), author)


def index(*labels: tuple[str, ...]) -> Index:
    made = Index(0)
    made.put(
        [
            IndexRow(n, 1, n, None, None, "note", "ines", str(list(tags)).replace("'", '"'), "[]")
            for n, tags in enumerate(labels, 1)
        ]
    )
    return made


def observed(*touches) -> Affinities:
    affinities = Affinities()
    for at, (user, kblock_id, *action) in enumerate(touches):
        affinities.observe(touch(user, kblock_id, at * 1_000_000, *action))
    return affinities


def test_content_is_alike_from_0_to_1():
    other, same = labelled(("food",), "mira"), labelled(("tools",), "ines")
    words = np.array([1.0, 0.0])
    found = by_content(index(("tools",), ("food",)), same, [same, other], words)
    assert found == pytest.approx([1.0, 0.0])


def test_what_a_kblock_lacks_is_not_compared():
    bare, whole = labelled(), labelled(("tools",), "ines")
    assert by_content(index(), bare, [whole], np.ones(1)) == pytest.approx([1.0])
    assert by_content(index(), bare, [whole, bare], np.zeros(2)) == pytest.approx([0.0, 0.0])
    assert len(by_content(index(), bare, [], np.zeros(0))) == 0


def test_rare_tags_say_more():
    many = index(*[("common",)] * 50, ("rare",))
    asked, others = labelled(("common", "rare")), [labelled(("rare",)), labelled(("common",))]
    tags = by_content(many, asked, others, np.zeros(2))
    assert tags[0] > 2 * tags[1] > 0


def test_candidates_share_labels_or_are_new_and_are_bounded():
    many = index(*[("old",)] * 3, *[("new",)] * 400, *[()] * 60)
    shown = np.ones(len(many), np.bool_)
    found = many.number[sharing_labels(many, labelled(("old",), "somebody"), shown)]
    assert set(found.tolist()) == {1, 2, 3, *range(414, 464)}
    shown[:3] = False
    found = many.number[sharing_labels(many, labelled(("old", "new")), shown)]
    assert set(found.tolist()) == {*range(354, 404), *range(414, 464)}


def test_behaviour_is_the_cosine_by_readers_and_says_on_how_many_it_goes():
    affinities = observed(*[(f"u{n}", each) for n in range(4) for each in ("a", "b")], ("u9", "c"))
    place, *others = (affinities.place(each) for each in "abc")
    found = by_behaviour(affinities, place, np.array(others))
    assert found.cosines == pytest.approx([4 / 5, 0.0])
    assert found.evidence.tolist() == [4.0, 1.0]
    places = co_engaged_rows(affinities, place)
    assert set(places.tolist()) == {place, others[0]}


def test_guests_dismissals_and_the_untouched_make_no_neighbours():
    affinities = observed(
        ("guest", "a"), ("guest", "b"), ("u1", "a"), ("u1", "b", "dismiss"), ("u1", "c")
    )
    a, b, c = (affinities.place(each) for each in "abc")
    assert set(co_engaged_rows(affinities, a).tolist()) == {a, c}
    assert by_behaviour(affinities, a, np.array([b])).cosines == pytest.approx([0.0])
    assert len(co_engaged_rows(affinities, 0)) == 0
    assert by_behaviour(affinities, 0, np.array([0, a])).cosines == pytest.approx([0.0, 0.0])


def test_how_much_is_looked_at_is_bounded():
    affinities = observed(*[(f"u{n % 50}", f"k{n % 50}-{n}") for n in range(2_000)],
                      *[(f"u{n}", "a") for n in range(50)])  # fmt: skip
    assert len(co_engaged_rows(affinities, affinities.place("a"))) == CO_ENGAGED


def test_company_are_readers_of_the_same_taste():
    common = [(user, f"k{n}") for n in range(6) for user in ("ada", "bob")]
    affinities = observed(*common, ("eve", "other"), ("bob", "treasure"), ("bob", "no", "dismiss"))
    found = recently_liked_by(affinities, "ada").tolist()
    assert affinities.place("treasure") in found
    assert affinities.place("other") not in found
    assert affinities.place("no") not in found
    assert len(recently_liked_by(affinities, "eve")) == 0  # of whom too little is known
    assert len(recently_liked_by(affinities, "never")) == 0
    affinities.forget("bob")
    assert len(recently_liked_by(affinities, "ada")) == 0


def test_company_is_bounded():
    readers = [f"u{n}" for n in range(3 * NEIGHBOURS)]
    affinities = observed(*[(user, f"k{n}") for n in range(6) for user in readers],
                      *[(user, f"{user}-{n}") for user in readers for n in range(9)])  # fmt: skip
    assert len(recently_liked_by(affinities, "u0")) <= 100


def neighbours_of(affinities, user="ada", count=10, now=START + DAY):
    """Return, of K-Blocks with names of one letter, the neighbours of what a reader liked."""
    names = {affinities.place(each): each for each in "abcdefghij"}
    return [names[place] for place in co_engaged_with(affinities, user, now, count).tolist()]


def test_neighbours_are_what_readers_of_the_same_liked():
    affinities = observed(
        ("ada", "a"), ("ada", "b"), ("ada", "c", "dismiss"),
        ("bob", "a"), ("bob", "b"), ("bob", "d"), ("bob", "e", "dismiss"),
        ("eve", "a"), ("eve", "d"), ("eve", "f"),
        ("dan", "c"), ("dan", "g"),  # ada dismissed what they have in common
        ("guest", "a"), ("guest", "h"),
    )  # fmt: skip
    assert neighbours_of(affinities) == ["d", "f"]  # d by two readers
    assert neighbours_of(affinities, count=1) == ["d"]
    assert neighbours_of(affinities, "bob") == ["f"]  # not what bob knows, and nothing dismissed
    assert neighbours_of(affinities, "never") == neighbours_of(affinities, "guest") == []
    affinities.forget("eve")
    assert neighbours_of(affinities) == ["d"]


def test_neighbours_need_no_minimum_of_interactions_and_count_less_with_age():
    affinities = observed(("ada", "a"), ("bob", "a"), ("bob", "b"))
    assert neighbours_of(affinities) == ["b"]
    affinities.observe(touch("eve", "a", 60 * DAY))
    affinities.observe(touch("eve", "c", 60 * DAY))
    assert neighbours_of(affinities, now=START + 61 * DAY) == ["c", "b"]


def test_one_kblock_that_hardly_anybody_read_does_not_decide():
    """Ada read much with the crowd, and one K-Block with one reader of another taste."""
    crowd = [(f"u{n}", each) for n in range(12) for each in "abcd"]
    affinities = observed(("ada", "a"), ("ada", "b"), ("ada", "j"), *crowd,
                          *[("odd", each) for each in "jefghi"])  # fmt: skip
    assert set(neighbours_of(affinities)[:2]) == {"c", "d"}


def test_the_readers_whose_histories_are_read_are_bounded():
    readers = [f"u{n}" for n in range(3 * NEIGHBOURING_READERS)]
    log = [(user, "abcdefgh"[n % 8]) for n, user in enumerate(readers)]
    log += [(user, f"of {user}") for user in readers]
    affinities = observed(*log, *[("ada", each) for each in "abcdefgh"])
    found = co_engaged_with(affinities, "ada", START + DAY, 10_000)
    assert 0 < len(found) <= NEIGHBOURING_READERS
