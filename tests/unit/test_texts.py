"""Texts as vectors, and tastes in words, compared with the same written slowly."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.services.texts import taste as tastes
from harken.services.texts import vectors
from harken.services.texts.taste import nearest_liked, taste_of
from harken.services.texts.terms import LETTERS, terms_of
from harken.services.texts.vectors import TermWeights, TextVectors

WORDS = ["git", "merge", "branch", "bread", "flour", "oven", "yeast", "rebase", "the", "a1"]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)
changes = st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), texts)), max_size=30)


def made(known: dict[int, str]) -> TextVectors:
    found = TextVectors()
    found.put([(key, terms_of("", text)) for key, text in known.items()])
    return found


def cosines(known: dict[int, str], one: int) -> list[float]:
    """The cosines of one text with all others, written slowly."""
    counts = {key: Counter(text.split()) for key, text in known.items()}
    shared = Counter(word for each in counts.values() for word in each)
    weights = {
        key: {
            word: (1 + math.log(n)) * math.log((len(known) + 1) / shared[word])
            for word, n in each.items()
        }
        for key, each in counts.items()
    }
    length = {key: math.hypot(*each.values()) for key, each in weights.items()}
    return [
        sum(value * weights[one].get(word, 0.0) for word, value in each.items())
        / max(length[key] * length[one], 1e-9)
        for key, each in weights.items()
    ]


def weights_of(known: TextVectors, key: int) -> TermWeights:
    terms, weights = known.vectors(np.array([key]))
    kept = weights[0] != 0
    return TermWeights(terms[0][kept].astype(np.intp), weights[0][kept])


@given(st.dictionaries(st.integers(0, 40), texts, min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_products_of_vectors_are_cosines(known):
    found, keys = made(known), np.array(list(known))
    for one in known:
        assert found.project(weights_of(found, one), keys).tolist() == pytest.approx(
            cosines(known, one), abs=1e-5
        )


@given(changes)
@settings(max_examples=60, deadline=None)
def test_texts_that_came_and_went_leave_nothing(several):
    found, known = TextVectors(), dict[int, str]()
    for key, text in several:
        if text is None:
            found.remove(key)
            known.pop(key, None)
        else:
            found.put([(key, terms_of("", text))])
            known[key] = text
    anew, keys = made(known), np.arange(12)
    assert len(found) == len(known)
    assert found.has(keys).tolist() == anew.has(keys).tolist()
    for one in known:
        expected = anew.project(weights_of(anew, one), keys).tolist()
        assert found.project(weights_of(found, one), keys).tolist() == pytest.approx(
            expected, abs=1e-5
        )


@pytest.mark.parametrize("few", [0, 10_000])
def test_the_nearest_are_those_with_the_highest_products(monkeypatch, few):
    """As a whole, and by the strongest terms."""
    monkeypatch.setattr(vectors, "_FEW", few)
    chance = np.random.default_rng(3)
    known = {key: " ".join(f"w{each}" for each in chance.zipf(1.3, 40) % 500) for key in range(300)}
    found = made(known)
    taste = weights_of(found, 7)
    nearest = found.nearest(taste, 10).tolist()
    products = found.project(taste, np.arange(300))
    assert nearest[0] == 7
    best = np.argsort(-products, kind="stable")[:10].tolist()
    assert len({*nearest} & {*best}) >= (10 if few else 8)
    assert found.nearest(TermWeights(np.array([3]), np.array([1.0])), 10).tolist() == []


def test_a_long_text_is_kept_by_its_rarest_words():
    found = made(dict.fromkeys(range(50), "common words are here"))
    found.put([(99, terms_of("", "common " * 30 + " ".join(f"rare{n}" for n in range(100))))])
    terms, weights = found.vectors(np.array([99]))
    assert np.count_nonzero(weights) == vectors.WIDTH
    assert float((weights**2).sum()) == pytest.approx(1.0, abs=1e-5)
    common = terms_of("", "common").numbers[0]
    assert common not in terms[weights > 0]


def test_a_taste_is_the_ridge_regression_of_what_was_done():
    known = {0: "git merge", 1: "git rebase branch", 2: "bread flour oven", 3: "bread yeast"}
    found, labels = made(known), np.array([1.0, 0.5, -1.0, -0.25])
    taste = taste_of(found, np.arange(4), labels)
    assert taste is not None
    terms, dense = tastes._dense(found.vectors(np.arange(4)))
    importance = np.abs(labels)
    primal = np.linalg.solve(
        dense.T @ (importance[:, None] * dense) + tastes.RIDGE * np.eye(len(terms)),
        dense.T @ (importance * np.sign(labels)),
    )
    order = np.argsort(taste.terms.terms)
    assert taste.terms.weights[order] == pytest.approx(primal[np.argsort(terms)], abs=1e-5)
    liked, disliked = found.project(taste.terms, np.array([1, 3]))
    assert liked > 0 > disliked


def test_without_texts_there_is_no_taste():
    known = made({5: "git"})
    assert taste_of(known, np.array([-1, 3, 70]), np.ones(3)) is None
    assert taste_of(known, np.array([5]), np.zeros(1)) is None
    assert known.project(TermWeights(np.array([1]), np.ones(1)), np.array([-1, 9])).tolist() == [
        0.0, 0.0,
    ]  # fmt: skip


def test_the_closest_liked_text_is_named():
    known = made({0: "git merge", 1: "bread flour", 2: "undo a git merge", 3: "yeast oven"})
    taste = taste_of(known, np.array([0, 1]), np.array([1.0, -1.0]))
    assert taste is not None
    liked, near = nearest_liked(known, taste, np.array([2, 3]))
    assert liked.tolist() == [0, 0]
    assert near[0] > 0.3 > near[1]


def test_terms_are_words_of_any_language():
    def numbers(text: str) -> set[int]:
        return set(terms_of("", text).numbers.tolist())

    assert numbers("Straße STRASSE") == numbers("strasse")
    assert numbers("see https://example.org/page?x=1 <b>here</b> &amp;") == numbers("see here")
    assert len(numbers("機械学習の本")) == 5  # pairs of characters
    assert numbers("機械学習") < numbers("機械学習の本")
    assert numbers("x" * 41) == numbers("") == set()
    assert numbers("\ud800 word") == numbers("word")
    assert numbers("a" * 3 + " " + "b" * LETTERS) == numbers("aaa")
    titled = terms_of("git", "git bread")
    assert sorted(titled.counts.tolist()) == [1, 4]
