"""Models of few choices: their trees are grown from the personal score."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.errors import InvalidModel
from harken.services.features.names import NAMES, PERSONAL_SCORE
from harken.services.learning.model_storage.archive import archive, restore
from harken.services.learning.ranker import PASSED, VIEWED, Example, RankerSettings, train

SMALL = RankerSettings(rounds=3, fewest=10, least_in_leaf=5, leaves=7)
PERSONAL, AGE = NAMES.index(PERSONAL_SCORE), NAMES.index("age")


def examples(count=40, seed=0, size=10):
    """Make choices of the highest personal score, of all that are new."""
    generator = np.random.default_rng(seed)
    made = []
    for n in range(count):
        matrix = generator.normal(size=(size, len(NAMES))).astype(np.float32)
        grades = np.full(size, PASSED, np.int8)
        grades[(3 * matrix[:, PERSONAL] - matrix[:, AGE]).argmax()] = VIEWED
        made.append(Example(n, matrix, grades))
    return made


def trained(some, settings=SMALL):
    model = train(some, settings)
    assert model is not None
    return model


def hits(model, some):
    return np.mean([model.score(each.matrix).argmax() == each.grades.argmax() for each in some])


def test_few_choices_have_the_personal_score_as_base_and_many_have_none():
    few, many = trained(examples(19)), trained(examples(20), replace(SMALL, base_below=20))
    assert (few.base, few.metadata["base"]) == (1.0, PERSONAL_SCORE)
    assert (many.base, many.metadata["base"]) == (0.0, None)


def test_a_score_is_that_of_the_trees_and_the_personal_score():
    model, matrix = trained(examples()), examples(1, seed=5)[0].matrix
    trees = model.booster.predict(model.inputs(matrix))
    personal = matrix[:, PERSONAL].astype(np.float64)
    assert model.score(matrix).tolist() == (trees + personal).tolist()
    parts = model.contributions(matrix).sum(axis=1) + model.base_part(matrix)
    np.testing.assert_allclose(parts, model.score(matrix), atol=1e-9)
    assert model.score(matrix[:0]).shape == (0,)


def test_trees_learn_what_the_personal_score_does_not_say():
    some, others = examples(300), examples(200, seed=9)
    model = trained(some, replace(SMALL, rounds=40))
    personal = np.mean([e.matrix[:, PERSONAL].argmax() == e.grades.argmax() for e in others])
    without = trained(some, replace(SMALL, rounds=40, base_below=0))
    assert hits(model, others) > personal + 0.05
    assert hits(model, others) > hits(without, others)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0, 1_000]), st.integers(1, 60))
def test_a_model_is_read_back_and_scores_the_same(seed, base_below, rows):
    model = trained(examples(12, seed), replace(SMALL, base_below=base_below))
    archived = archive(model)
    assert archived.features["version"] == (3 if base_below else 2)
    read = restore("m", archived, model.metadata)
    matrix = np.random.default_rng(seed).normal(size=(rows, len(NAMES))).astype(np.float32)
    assert read.base == model.base
    assert read.score(matrix).tolist() == model.score(matrix).tolist()
    assert read.contributions(matrix).tolist() == model.contributions(matrix).tolist()


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ({"feature": "age", "weight": 1.0}, "m was grown from 'age', which is not known"),
        ({"feature": "luck", "weight": 1.0}, "m was grown from 'luck', which is not known"),
        ({"feature": PERSONAL_SCORE, "weight": -1.0}, "whose weight is no number above 0"),
        ({"feature": PERSONAL_SCORE, "weight": "1"}, "whose weight is no number above 0"),
        ({"feature": PERSONAL_SCORE, "weight": True}, "whose weight is no number above 0"),
        ({"feature": PERSONAL_SCORE, "weight": float("nan")}, "whose weight is no number above 0"),
        ({"feature": PERSONAL_SCORE}, "m has a base that is not known"),
        ({"feature": [1], "weight": 1.0}, "which is not known"),
        (PERSONAL_SCORE, "m has a base that is not known"),
        ({"feature": PERSONAL_SCORE, "weight": 2.0}, "m was cut off or changed"),
    ],
)
def test_another_base_is_refused(base, message):
    archived = archive(trained(examples()))
    changed = replace(archived, features={**archived.features, "base": base})
    with pytest.raises(InvalidModel, match=message):
        restore("m", changed, {})


def test_a_model_that_lost_its_base_is_refused():
    archived = archive(trained(examples()))
    features = {name: each for name, each in archived.features.items() if name != "base"}
    for version, message in ((2, "was cut off or changed"), (3, "was cut off or changed")):
        with pytest.raises(InvalidModel, match=message):
            restore("m", replace(archived, features=features | {"version": version}), {})
    with pytest.raises(InvalidModel, match="has more than a model of version 2"):
        restore("m", replace(archived, features={**archived.features, "version": 2}), {})
    with pytest.raises(InvalidModel, match="has version 4, and 2 and 3 are read"):
        restore("m", replace(archived, features={**archived.features, "version": 4}), {})
