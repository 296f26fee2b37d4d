"""The network beside the trees: what it learns, what it says of its scores, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from harken.errors import InvalidModel
from harken.services.features.names import NAMES
from harken.services.learning.model_storage.archive import archive, restore
from harken.services.learning.network.network import Layers, Network
from harken.services.learning.network.training import NetworkSettings, train_network
from harken.services.learning.ranker import PASSED, VIEWED, Example, RankerSettings, train

FEW = NetworkSettings(networks=2, units=8, epochs=20, batch=16, rate=1e-2)
QUICK = RankerSettings(
    rounds=10, fewest=50, least_in_leaf=10, base_below=0, network_from=100, network=FEW
)
AGE, SIMILAR = NAMES.index("age"), NAMES.index("similar_readers_sum")


def choices(count=150, seed=0):
    """Make choices of what is neither too new nor too old: no line through its age finds them."""
    generator = np.random.default_rng(seed)
    inputs = [generator.normal(size=(12, 4)).astype(np.float32) for _ in range(count)]
    gains = [(np.arange(12) == np.abs(each[:, 1]).argmin()).astype(float) for each in inputs]
    return inputs, gains


def learned(some, seed=0):
    inputs, gains = some
    found = train_network(inputs, gains, [1.0] * len(inputs), FEW, seed)
    assert found is not None
    return found


def hits(network, inputs, gains):
    pairs = zip(inputs, gains, strict=True)
    return np.mean([network.score(each).argmax() == gain.argmax() for each, gain in pairs])


def examples(count=150, seed=0):
    generator, made = np.random.default_rng(seed), []
    for number in range(count):
        matrix = generator.normal(size=(20, len(NAMES))).astype(np.float32)
        matrix[:, AGE] = 1.0
        grades = np.full(20, PASSED, np.int8)
        grades[matrix[:, SIMILAR].argmax()] = VIEWED
        made.append(Example(number, matrix, grades))
    return made


@pytest.fixture(scope="module")
def model():
    found = train(examples(), QUICK)
    assert found is not None
    return found


def test_what_decides_is_found_though_it_is_no_line():
    network = learned(choices())
    assert hits(network, *choices(seed=1)) > 3 / 12
    assert network.score(np.zeros((0, 4), np.float32)).shape == (0,)


def test_the_same_choices_give_the_same_network():
    assert learned(choices(40)) == learned(choices(40))
    assert learned(choices(40)) != learned(choices(40), seed=5)


def test_without_a_choice_or_a_weight_there_is_none():
    inputs, gains = choices(20)
    assert train_network(inputs, [each * 0 for each in gains], [1.0] * 20, FEW, 0) is None
    assert train_network(inputs, gains, [1.0] * 20, replace(FEW, weight=0.0), 0) is None


def test_what_never_varied_changes_no_score_and_some_may_be_missing():
    inputs, gains = choices(40)
    for each in inputs:
        each[:, 3] = 7.0
        each[::2, 2] = np.nan
    network = learned((inputs, gains))
    asked = np.nan_to_num(inputs[0])
    changed = asked.copy()
    changed[:, 3] = -1.0
    assert network.score(changed).tolist() == network.score(asked).tolist()
    assert np.isfinite(network.score(asked)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 9), st.floats(0.1, 50.0))
def test_contributions_add_up_to_the_score(seed, inputs, units, far):
    generator = np.random.default_rng(seed)
    layers = Layers(
        generator.normal(size=(inputs, units)).astype(np.float32),
        generator.normal(size=units).astype(np.float32),
        generator.normal(size=units).astype(np.float32),
    )
    network = Network.of(generator.normal(size=inputs), np.full(inputs, 2.0), layers)
    rows = (generator.normal(size=(20, inputs)) * far).astype(np.float32)
    parts = network.contributions(rows)
    assert parts.shape == (20, inputs + 1)
    np.testing.assert_allclose(parts.sum(axis=1), network.score(rows), rtol=1e-4, atol=1e-4)
    mean = np.array(network.means, np.float32)[None]
    assert not network.contributions(mean)[:, :-1].any()


def test_a_model_scores_by_both_and_says_what_each_feature_adds(model):
    matrix = examples(1, seed=9)[0].matrix
    assert model.network is not None
    trees = model.booster.predict(matrix, num_threads=1)
    assert model.score(matrix).tolist() == (trees + model.network.score(matrix)).tolist()
    parts = model.contributions(matrix)
    np.testing.assert_allclose(parts.sum(axis=1), model.score(matrix), atol=1e-4)
    assert parts[:, :-1].std(axis=0).argmax() == SIMILAR
    assert model.metadata["network"] == 16
    fewer = train(examples(60), QUICK)
    assert fewer is not None
    assert fewer.network is None


def test_a_model_with_a_network_is_read_back_and_scores_the_same(model):
    archived = archive(model)
    read = restore("m", archived, model.metadata)
    matrix = examples(1, seed=3)[0].matrix
    assert read.score(matrix).tolist() == model.score(matrix).tolist()
    assert archived.features["version"] == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameters": "AAA"}, "network: parameters must be base64"),
        ({"parameters": "AAAA"}, "must have a number for each input and unit"),
        ({"units": 0}, "network.units: Input should be greater"),
        ({"means": [0.0]}, "means and scales must have a number"),
        ({"luck": 1}, "network.luck: Extra inputs"),
    ],
)
def test_another_network_is_refused(model, change, message):
    archived = archive(model)
    network = archived.features["network"] | change
    with pytest.raises(InvalidModel, match=message):
        restore("m", replace(archived, features={**archived.features, "network": network}), {})


def test_a_model_that_lost_its_network_or_has_another_ones_is_refused(model):
    archived = archive(model)
    rest = {name: each for name, each in archived.features.items() if name != "network"}
    with pytest.raises(InvalidModel, match="was cut off or changed"):
        restore("m", replace(archived, features=rest), {})
    other = learned(choices(20)).model_dump(mode="json")
    with pytest.raises(InvalidModel, match="has a network of 4 inputs, not"):
        restore("m", replace(archived, features={**archived.features, "network": other}), {})


def test_numbers_without_an_end_are_refused():
    layers = Layers(*(np.full(shape, np.inf, np.float32) for shape in ((2, 1), 1, 1)))
    with pytest.raises(ValidationError, match="finite"):
        Network.of(np.zeros(2), np.ones(2), layers)
