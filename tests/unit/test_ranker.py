"""The learned ranking: what it learns, and that only Harken's own files are read."""

# ruff: noqa: ARG005 — some changes of a file ignore one of its parts

import hashlib
import json
import pickle
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from harken.errors import InvalidModel, MissingExtra
from harken.services.features.names import FAMILIES, NAMES, OF_WHO_CAME
from harken.services.learning.model_storage.archive import FOREIGN, archive, restore
from harken.services.learning.model_storage.model_files import PortableModel, read, write
from harken.services.learning.ranker import (
    PASSED,
    POSITION,
    VIEWED,
    Example,
    RankerSettings,
    _near_best,
    train,
)

QUICK = RankerSettings(rounds=30, fewest=50, least_in_leaf=10, base_below=0)


def examples(count=150, seed=0):
    """Make choices of what has the most similar readers, with much noise elsewhere."""
    generator = np.random.default_rng(seed)
    made = []
    for n in range(count):
        matrix = generator.normal(size=(20, len(NAMES))).astype(np.float32)
        grades = np.full(20, PASSED, np.int8)
        grades[matrix[:, NAMES.index("similar_readers_1d")].argmax()] = VIEWED
        made.append(Example(n, matrix, grades))
    return made


def trained(settings=QUICK):
    model = train(examples(), settings)
    assert model is not None
    return model


@pytest.fixture(scope="module")
def model():
    return trained()


def hits(model, some):
    return np.mean([model.score(each.matrix).argmax() == each.grades.argmax() for each in some])


def test_what_decides_is_found(model):
    assert hits(model, examples(100, seed=1)) > 0.6
    assert model.score(np.zeros((0, len(NAMES)), np.float32)).shape == (0,)


def test_the_same_examples_give_the_same_model(model):
    again = trained()
    assert again.booster.model_to_string() == model.booster.model_to_string()
    other = trained(replace(QUICK, seed=1))
    assert other.booster.model_to_string() != model.booster.model_to_string()


def test_what_a_model_says_of_itself(model):
    said = model.metadata
    assert (said["examples"], said["from"], said["until"], said["seed"]) == (150, 0, 149, 0)
    assert 0 < said["trees"] <= 30
    assert 0 < said["metrics"]["ndcg@10"] <= 1


def test_nothing_is_learned_from_too_little():
    assert train(examples(49), QUICK) is None


@pytest.mark.parametrize("heavier", ["similar_readers_1d", "age"])
def test_the_heavier_examples_decide(heavier):
    """Half of the choices are of the most similar readers, the others of the greatest age."""
    by_name: dict[str, list[Example]] = {}
    for name in ("similar_readers_1d", "age"):
        column = NAMES.index(name)
        by_name[name] = [
            each._replace(grades=np.where(each.matrix[:, column].argmax() == range(20), VIEWED, 1))
            for each in examples(150, seed=len(by_name))
        ]
    some = [
        each._replace(at=n, weight=5.0 if name == heavier else 0.2)
        for n, pair in enumerate(zip(*by_name.values(), strict=True))
        for name, each in zip(by_name, pair, strict=True)
    ]
    model = train(some, QUICK)
    assert model is not None
    found = {
        name: np.mean(
            [model.score(each.matrix).argmax() == each.matrix[:, NAMES.index(name)].argmax()
             for each in examples(100, seed=3)]
        )
        for name in by_name
    }  # fmt: skip
    assert found.pop(heavier) > 2 * max(found.values())


def test_families_can_be_left_out():
    model = trained(replace(QUICK, without=("user_similarity",)))
    assert not set(model.names) & set(FAMILIES["user_similarity"])
    assert hits(model, examples(100, seed=1)) < 0.3
    with pytest.raises(
        ValueError, match=r"\['similarity'\] are unknown; known are \['recency_and_a"
    ):
        RankerSettings(without=("similarity",))
    with pytest.raises(ValueError, match="validation"):
        RankerSettings(validation=1.0)


@pytest.mark.parametrize(
    ("curve", "count", "expected"),
    [
        ([0.5, 0.6, 0.59, 0.58], 100, 4),  # random ups and downs
        ([0.5, 0.6, 0.59, 0.58], 10_000, 2),  # the error is 0.005
        ([0.6, 0.5, 0.4, 0.56], 100, 4),
        ([0.6, 0.5, 0.4, 0.3], 100, 1),
        ([1.0, 1.0, 0.99], 100, 2),  # the error is 0
    ],
)
def test_there_are_as_many_trees_as_do_no_harm(curve, count, expected):
    assert _near_best(curve, count) == expected


def test_where_more_trees_do_harm_it_stops(monkeypatch):
    looked: list[int] = []

    def most(curve, count):
        looked.append(len(curve))
        return 3

    monkeypatch.setattr("harken.services.learning.ranker._near_best", most)
    assert trained(replace(QUICK, patience=5)).metadata["trees"] == 3
    assert max(looked) == 3 + 5


# Positions


def shown(count=300, seed=0):
    """Make choices of what stands at the top, where what similar readers read stands mostly."""
    generator = np.random.default_rng(seed)
    made = []
    for each in examples(count, seed):
        kin = each.matrix[:, NAMES.index("similar_readers_1d")]
        order = np.argsort(-kin - generator.normal(size=20))
        positions = np.empty(20, np.float32)
        positions[order] = np.arange(20)
        # Liked K-Blocks are old.
        liked = each.matrix[:, NAMES.index("age")] + 2 / (1 + positions)
        grades = np.full(20, PASSED, np.int8)
        grades[liked.argmax()] = VIEWED
        made.append(each._replace(grades=grades, positions=positions))
    return made


def weight(model, name):
    """Return a feature's share of the scores' variance."""
    matrix = np.random.default_rng(9).normal(size=(500, len(NAMES))).astype(np.float32)
    mixed = matrix.copy()
    mixed[:, NAMES.index(name)] = np.roll(matrix[:, NAMES.index(name)], 1)
    return np.square(model.score(matrix) - model.score(mixed)).mean() / model.score(matrix).var()


def test_what_stood_at_the_top_is_not_taken_for_better():
    of_slates = tuple(name for name in NAMES if name not in OF_WHO_CAME)
    with_it = train(shown(), QUICK)
    without = train(shown(), replace(QUICK, position=False))
    assert with_it is not None
    assert without is not None
    assert with_it.names == (*of_slates, POSITION)
    assert without.names == of_slates
    assert weight(with_it, "similar_readers_1d") < weight(without, "similar_readers_1d") / 2
    assert weight(with_it, "age") > 0.5


def test_all_stand_at_the_top_when_they_are_ranked():
    model = train(shown(), QUICK)
    assert model is not None
    matrix = examples(1)[0].matrix
    inputs = model.inputs(matrix)
    columns = [NAMES.index(name) for name in model.names[:-1]]
    assert inputs[:, :-1].tolist() == matrix[:, columns].tolist()
    assert inputs[:, -1].tolist() == [0.0] * 20
    assert model.score(matrix).tolist() == model.booster.predict(inputs).tolist()


def test_where_things_stood_may_be_known_of_some():
    model = train([*examples(100), *shown(200)], QUICK)
    assert model is not None
    assert model.metadata["sources"] == {"slates": 200, "replay": 100}
    assert model.names[-1] == POSITION
    model = train(examples(100), QUICK)
    assert model is not None
    assert model.metadata["sources"] == {"slates": 0, "replay": 100}
    assert model.names == NAMES


# Files


def carried(model, change=lambda archived: archived):
    archived = change(archive(model))
    return PortableModel(
        created_at=datetime(2026, 3, 1, 12, tzinfo=UTC), code_version="1.0",
        sha256=archived.checksum, features=archived.features, text=archived.text,
        data={"until": "2026-03-01"}, metrics={"verdict": {"is_better": True}},
        details=json.loads(json.dumps(model.metadata)),
    )  # fmt: skip


def read_back(file):
    found = read(file)
    return restore(str(file), found.archived, found.details)


@pytest.mark.parametrize("without", [(), ("user_similarity", "ranks")])
def test_a_model_is_read_back(tmp_path, without):
    model = train(shown(), replace(QUICK, without=without))
    assert model is not None
    file = tmp_path / "model"
    write(file, carried(model))
    write(file, carried(model))
    assert [each.name for each in tmp_path.iterdir()] == ["model"]
    found = read_back(file)
    assert found.names == model.names
    assert found.metadata == json.loads(json.dumps(model.metadata))
    for each in examples(5, seed=2):
        assert found.score(each.matrix).tolist() == model.score(each.matrix).tolist()
    assert read(file) == carried(model)


def test_a_feature_that_is_named_twice_is_refused(model):
    archived = archive(model)
    text = archived.text.replace(f" {NAMES[5]} ", f" {NAMES[1]} ", 1)
    names = [NAMES[1] if n == 5 else name for n, name in enumerate(NAMES)]
    twice = replace(
        archived, text=text, checksum=hashlib.sha256(text.encode()).hexdigest(),
        features={**archived.features, "names": names},
    )  # fmt: skip
    with pytest.raises(InvalidModel, match=f"should have {len(NAMES)} names, each once"):
        restore("m", twice, {})


def changed(text=b"", features=None, **head):
    def change(line, rest):
        told = json.loads(line) | head
        told["features"] |= features or {}
        return json.dumps(told).encode() + b"\n" + rest + text

    return change


def of_another_text(text):
    def change(line, rest):
        return changed(sha256=hashlib.sha256(text).hexdigest())(line, text)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line, rest: b"", FOREIGN),
        (lambda line, rest: b"PAR1\x00\xff", FOREIGN),
        (lambda line, rest: pickle.dumps({"format": "harken-ranker"}), FOREIGN),
        (lambda line, rest: rest, FOREIGN),
        (lambda line, rest: b"[1]\n" + rest, FOREIGN),
        (lambda line, rest: line + b"\n\xff", FOREIGN),
        (changed(features={"format": "other"}), FOREIGN),
        (changed(features={"version": 4}), "has version 4, and 2 and 3 are read"),
        (
            changed(features={"version": 1}),
            "has version 1, and 2 and 3 are read: the features have changed, so train another one",
        ),
        (lambda line, rest: line, "was cut off or changed"),
        (lambda line, rest: line + b"\n" + rest[:-100], "was cut off or changed"),
        (lambda line, rest: line + b"\n" + rest.replace(b"1", b"2", 1), "was cut off or changed"),
        (changed(text=b"\n"), "was cut off or changed"),
        (changed(features={"names": [*NAMES, "luck"]}), "needs features that there are not: luck"),
        (changed(features={"names": [*NAMES[1:], NAMES[0]]}), "has other features than it says"),
        (changed(features={"names": [1]}), FOREIGN),
        (changed(details=1), FOREIGN),
        (changed(metrics={"rankings": 5}), FOREIGN),
        (changed(metrics={"rankings": {"personal": 5}}), FOREIGN),
        (changed(data={"sources": []}), FOREIGN),
        (changed(created_at="2026-03-01T12:00:00"), FOREIGN),
        (of_another_text(b""), "line 1: 'tree' is expected here"),
        (of_another_text(b"no trees"), "line 1: 'tree' is expected here"),
    ],
)
def test_another_file_is_refused(tmp_path, model, change, message):
    file = tmp_path / "model"
    write(file, carried(model))
    line, _, rest = file.read_bytes().partition(b"\n")
    file.write_bytes(change(line, rest))
    with pytest.raises(InvalidModel, match=message) as refused:
        read_back(file)
    assert str(file) in str(refused.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch, model):
    monkeypatch.setattr("harken.services.learning.model_storage.model_files.MOST_BYTES", 1 << 10)
    write(tmp_path / "model", carried(model))
    with pytest.raises(InvalidModel, match="is larger than any model"):
        read(tmp_path / "model")


def test_without_lightgbm_it_is_said_what_to_install(model, monkeypatch):
    archived = archive(model)
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    for call in (lambda: train(examples(), QUICK), lambda: restore("m", archived, {})):
        with pytest.raises(MissingExtra, match=r"pip install 'harken\[learning\]'"):
            call()
