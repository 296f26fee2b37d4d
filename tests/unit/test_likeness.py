"""How alike K-Blocks are."""

import numpy as np
import pytest

from harken.services.index.index import Index
from harken.services.index.rows import Entry
from harken.services.personal.similarity import (
    NEIGHBOURS,
    TOUCHED,
    Content,
    by_behaviour,
    by_content,
    sharing_labels,
    touched_by_company,
    touched_by_the_same,
)
from harken.services.readers.affinities import Tastes
from tests.support.touches import touch


def content(title: str = "", tags: tuple[str, ...] = (), author: str | None = None) -> Content:
    return Content.of({"title": title, "preview": "", "tags": tags, "author": author})


def index(*labels: tuple[str, ...]) -> Index:
    made = Index(0)
    made.put(
        [
            Entry(n, 1, n, None, None, "note", "ines", str(list(tags)).replace("'", '"'), "[]")
            for n, tags in enumerate(labels, 1)
        ]
    )
    return made


def observed(*touches) -> Tastes:
    tastes = Tastes()
    for at, (user, kblock_id, *action) in enumerate(touches):
        tastes.observe(touch(user, kblock_id, at * 1_000_000, *action))
    return tastes


def test_content_is_alike_from_0_to_1():
    other = content("bread", ("food",), "mira")
    same = content("git", ("tools",), "ines")
    found = by_content(index(("tools",), ("food",)), same, [same, other])
    assert found == pytest.approx([1.0, 0.0])


def test_what_a_kblock_lacks_is_not_compared():
    bare = content("git rebase")
    labelled = content("git rebase", ("tools",), "ines")
    assert by_content(index(), bare, [labelled]) == pytest.approx([1.0])
    assert by_content(index(), content(), [labelled, content()]) == pytest.approx([0.0, 0.0])
    assert len(by_content(index(), bare, [])) == 0


def test_rare_words_and_rare_tags_say_more():
    many = index(*[("common",)] * 50, ("rare",))
    asked = content("zymurgy note", ("common", "rare"))
    others = [content("zymurgy text"), content("other note"), *[content("a note")] * 20]
    words = by_content(many, asked, others)
    assert words[0] > words[1]
    tags = by_content(many, content("", ("common", "rare")),
                      [content("", ("rare",)), content("", ("common",))])  # fmt: skip
    assert tags[0] > 2 * tags[1] > 0


def test_candidates_share_labels_or_are_new_and_are_bounded():
    many = index(*[("old",)] * 3, *[("new",)] * 400, *[()] * 60)
    shown = np.ones(len(many), np.bool_)
    found = many.number[sharing_labels(many, content("", ("old",), "somebody"), shown)]
    assert set(found.tolist()) == {1, 2, 3, *range(414, 464)}
    shown[:3] = False
    found = many.number[sharing_labels(many, content("", ("old", "new")), shown)]
    assert set(found.tolist()) == {*range(354, 404), *range(414, 464)}


def test_behaviour_is_the_cosine_by_readers_and_says_on_how_many_it_goes():
    tastes = observed(*[(f"u{n}", each) for n in range(4) for each in ("a", "b")], ("u9", "c"))
    place, *others = (tastes.place(each) for each in "abc")
    found = by_behaviour(tastes, place, np.array(others))
    assert found.cosines == pytest.approx([4 / 5, 0.0])
    assert found.evidence.tolist() == [4.0, 1.0]
    places = touched_by_the_same(tastes, place)
    assert set(places.tolist()) == {place, others[0]}


def test_guests_dismissals_and_the_untouched_make_no_neighbours():
    tastes = observed(
        ("guest", "a"), ("guest", "b"), ("u1", "a"), ("u1", "b", "dismiss"), ("u1", "c")
    )
    a, b, c = (tastes.place(each) for each in "abc")
    assert set(touched_by_the_same(tastes, a).tolist()) == {a, c}
    assert by_behaviour(tastes, a, np.array([b])).cosines == pytest.approx([0.0])
    assert len(touched_by_the_same(tastes, 0)) == 0
    assert by_behaviour(tastes, 0, np.array([0, a])).cosines == pytest.approx([0.0, 0.0])


def test_how_much_is_looked_at_is_bounded():
    tastes = observed(*[(f"u{n % 50}", f"k{n % 50}-{n}") for n in range(2_000)],
                      *[(f"u{n}", "a") for n in range(50)])  # fmt: skip
    assert len(touched_by_the_same(tastes, tastes.place("a"))) == TOUCHED


def test_company_are_readers_of_the_same_taste():
    common = [(user, f"k{n}") for n in range(6) for user in ("ada", "bob")]
    tastes = observed(*common, ("eve", "other"), ("bob", "treasure"), ("bob", "no", "dismiss"))
    found = touched_by_company(tastes, "ada").tolist()
    assert tastes.place("treasure") in found
    assert tastes.place("other") not in found
    assert tastes.place("no") not in found
    assert len(touched_by_company(tastes, "eve")) == 0  # of whom too little is known
    assert len(touched_by_company(tastes, "never")) == 0
    tastes.forget("bob")
    assert len(touched_by_company(tastes, "ada")) == 0


def test_company_is_bounded():
    readers = [f"u{n}" for n in range(3 * NEIGHBOURS)]
    tastes = observed(*[(user, f"k{n}") for n in range(6) for user in readers],
                      *[(user, f"{user}-{n}") for user in readers for n in range(9)])  # fmt: skip
    assert len(touched_by_company(tastes, "u0")) <= 100
