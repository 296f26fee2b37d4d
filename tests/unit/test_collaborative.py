"""Collaborative filtering: its recommendations, and how models are stored."""

import json
import sys

import numpy as np
import pytest

from harken.errors import InvalidInput, MissingExtra
from harken.services.learning import collaborative
from harken.services.learning.collaborative import METHODS, Collaborative, default_method, fit
from harken.services.learning.interaction_matrix import Interactions, Interest
from harken.services.learning.neighbours import Ease, ItemNeighbours

DAY = 86_400.0
GROUPS, EACH = 4, 12


def item(group: int, number: int) -> str:
    return f"g{group}-{number:02}"


def made_up(seed: int = 0, readers: int = 160) -> Interactions:
    """Readers who like half of the items of one group, and two of any group."""
    chance = np.random.default_rng(seed)
    interests = [Interest("all", item(g, n)) for g in range(GROUPS) for n in range(EACH)]
    for reader in range(readers):
        theirs = chance.choice(EACH, EACH // 2, replace=False).tolist()
        interests += [Interest(f"r{reader}", item(reader % GROUPS, n)) for n in theirs]
        any_two = zip(chance.integers(GROUPS, size=2), chance.integers(EACH, size=2), strict=True)
        interests += [Interest(f"r{reader}", item(g, n)) for g, n in any_two]
    return Interactions.from_interests(interests)


@pytest.fixture(scope="module", params=METHODS)
def model(request) -> Collaborative:
    return fit(made_up(), request.param)


def test_a_history_is_folded_in_and_leads_to_more_of_the_same(model):
    history = {item(2, 0): 1.0, item(2, 1): 2.0, item(2, 2): 1.0}
    found = model.recommend(history, 5)
    assert [each.item_id[:2] for each in found] == ["g2"] * 5
    assert not {each.item_id for each in found} & history.keys()
    assert [each.score for each in found] == sorted((e.score for e in found), reverse=True)
    other = model.recommend({item(0, 3): 1.0, item(0, 4): 1.0}, 5)
    assert [each.item_id[:2] for each in other] == ["g0"] * 5


def test_what_is_touched_now_changes_the_order_without_fitting_again(model):
    before = {item(1, 0): 1.0}
    scores = model.scores(before)
    more = model.scores(before | {item(3, n): 3.0 for n in range(5)})
    of_group = [model.items.index(item(3, n)) for n in range(6, EACH)]
    others = [model.items.index(item(1, n)) for n in range(6, EACH)]
    assert scores[of_group].mean() < scores[others].mean()
    assert more[of_group].mean() > more[others].mean()


def test_items_of_the_same_readers_are_similar(model):
    found = model.similar(item(1, 5), 6)
    assert [each.item_id[:2] for each in found] == ["g1"] * 6
    assert item(1, 5) not in {each.item_id for each in found}


def test_nothing_is_said_of_nothing(model):
    assert not model.scores({}).any()
    assert not model.scores({"unknown": 1.0, item(0, 0): 0.0, item(0, 1): -2.0}).any()
    assert model.recommend({"unknown": 1.0}, 3) == []
    assert model.similar("unknown", 3) == []


def test_fitting_again_gives_the_same(model):
    again = fit(made_up(), model.method.name)
    history = {item(0, 0): 1.0, item(3, 1): 0.5}
    np.testing.assert_allclose(again.scores(history), model.scores(history), rtol=1e-4, atol=1e-6)


def test_a_saved_model_is_the_same_model(model, tmp_path):
    path = tmp_path / "model.npz"
    model.save(path)
    model.save(path)
    loaded = Collaborative.load(path)
    history = {item(0, 0): 1.0, item(3, 1): 0.5}
    assert (loaded.scores(history) == model.scores(history)).all()
    assert loaded.similar(item(1, 1), 4) == model.similar(item(1, 1), 4)
    assert (loaded.items, loaded.about) == (list(model.items), model.about)
    assert [each.name for each in tmp_path.iterdir()] == ["model.npz"]


def damaged(path, change) -> None:
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(arrays.pop("header").tobytes())
    change(header, arrays)
    text = json.dumps(header).encode()
    np.savez(path, header=np.frombuffer(text, np.uint8), **arrays)


def _nan(_header, arrays):
    next(a for a in arrays.values() if a.dtype == np.float32).flat[0] = np.nan


@pytest.mark.parametrize(
    "change",
    [
        lambda header, _arrays: header.update(format="something.else"),
        lambda header, _arrays: header.update(version=99),
        lambda header, _arrays: header.update(method="magic"),
        lambda header, _arrays: header.update(items=header["items"][1:]),
        lambda header, _arrays: header.update(items=None),
        lambda header, _arrays: header.pop("method"),
        lambda _header, arrays: arrays.pop(next(iter(arrays))),
        _nan,
    ],
)
def test_a_foreign_model_is_refused(model, tmp_path, change):
    path = tmp_path / "model.npz"
    model.save(path)
    damaged(path, change)
    with pytest.raises(
        InvalidInput,
        match=r"model: model\.npz is not a collaborative filtering model .* fit and save",
    ):
        Collaborative.load(path)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="is not a collaborative filtering model"):
        Collaborative.load(path)


def test_a_cut_off_or_altered_file_is_refused(tmp_path):
    path = tmp_path / "model.npz"
    fit(made_up(), "ease").save(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:2000] + b"\xff" * 64 + whole[2064:]):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match="is not a collaborative filtering model"):
            Collaborative.load(path)
    with pytest.raises(InvalidInput, match="is not a collaborative filtering model"):
        Collaborative.load(tmp_path / "absent.npz")
    np.savez(path, header=np.array([{}], dtype=object))  # could be read by unpickling only
    with pytest.raises(InvalidInput, match="is not a collaborative filtering model"):
        Collaborative.load(path)


def test_ease_is_its_closed_form():
    known = made_up()
    dense = np.zeros((known.users, len(known.items)))
    dense[known.rows, known.columns] = known.weights
    inverse = np.linalg.inv(dense.T @ dense + 50.0 * np.eye(dense.shape[1]))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    found = Ease.fit(known, 50.0, debias=0.0)
    np.testing.assert_allclose(found.weights, weights, atol=1e-5)


def test_neighbours_are_those_of_the_greatest_cosines():
    known = made_up()
    dense = np.zeros((known.users, len(known.items)))
    dense[known.rows, known.columns] = known.weights
    length = np.linalg.norm(dense, axis=0)
    cosines = dense.T @ dense / np.outer(length, length)
    np.fill_diagonal(cosines, 0.0)
    found = ItemNeighbours.fit(known, neighbours=10_000, shrinkage=0)
    for place in range(len(known.items)):
        np.testing.assert_allclose(found.similar(place), cosines[place], atol=1e-5)
    few = ItemNeighbours.fit(known, neighbours=3, shrinkage=0)
    assert few.nearest.shape == (len(known.items), 3)
    np.testing.assert_allclose(few.cosines[7], -np.sort(-cosines[7])[:3], atol=1e-5)


def test_interactions_fade_and_the_most_of_a_pair_counts():
    known = Interactions.from_interests(
        [
            Interest("b", "y", 2.0, at=-DAY),
            Interest("b", "y", 0.25, at=0.0),
            Interest("b", "x", 1.0, at=3 * DAY),
            Interest("a", "y", 4.0, at=-2 * DAY),
            Interest("a", "z", -1.0, at=0.0),
        ],
        half_life=DAY,
    )
    assert (known.items, known.users, len(known)) == (["x", "y"], 2, 3)
    assert known.columns.tolist() == [1, 0, 1]
    assert known.weights.tolist() == [1.0, 1.0, 1.0]
    assert known.rows.tolist() == [0, 1, 1]
    [(first, block)] = known.blocks()
    assert (first, block.tolist()) == (0, [[0.0, 1.0], [1.0, 1.0]])
    with pytest.raises(ValueError, match="half_life"):
        Interactions.from_interests([], half_life=0.0)


def test_the_order_of_interests_makes_no_difference():
    interests = [Interest(f"r{n % 7}", f"i{n % 5}", 1 + n % 3) for n in range(60)]
    one, other = (
        Interactions.from_interests(interests),
        Interactions.from_interests(interests[::-1]),
    )
    assert one.columns.tolist() == other.columns.tolist()
    assert one.weights.tolist() == other.weights.tolist()


def test_the_method_goes_by_the_size_of_the_catalogue(monkeypatch):
    most = collaborative.MAX_DENSE_ITEMS
    assert (default_method(100), default_method(most), default_method(most + 1)) == (
        "blend",
        "blend",
        "factors",
    )
    monkeypatch.setattr(collaborative, "find_spec", lambda _name: None)
    assert (default_method(most), default_method(most + 1)) == ("ease", "neighbours")
    assert fit(made_up()).method.name == "ease"


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(MissingExtra, match=r"harken\[learning\]"):
        fit(made_up(), "factors")


def test_what_cannot_be_fitted_is_refused(monkeypatch):
    with pytest.raises(InvalidInput, match="interactions: must not be empty"):
        fit(Interactions.from_interests([]))
    with pytest.raises(InvalidInput, match="method: must be one of ease"):
        fit(made_up(), "magic")
    monkeypatch.setattr(collaborative, "MAX_DENSE_ITEMS", 10)
    with pytest.raises(InvalidInput, match="blend supports at most 10 items; there are 48"):
        fit(made_up(), "blend")
    assert fit(made_up()).method.name == "factors"


def test_one_item_is_enough():
    known = Interactions.from_interests([Interest("a", "x")])
    for name in ("ease", "neighbours", "factors"):
        model = fit(known, name)
        assert model.similar("x", 3) == []
        assert model.recommend({"x": 1.0}, 3) == []
