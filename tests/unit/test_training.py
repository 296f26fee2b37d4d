"""Training on a log's past: measured data is held out, and chance results are not promoted."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from harken.errors import InvalidInput, InvalidModel
from harken.services.evaluation.holdout import run_metrics, train_and_measure
from harken.services.learning.model_storage.archive import archive, restore
from harken.services.learning.ranker import RankerSettings, train
from harken.services.learning.rolling_training import TrainingSettings
from tests.support.choices import choices
from tests.support.touches import DAY, START

QUICK = TrainingSettings(
    ranker=RankerSettings(rounds=20, fewest=50, least_in_leaf=10, base_below=0)
)


@pytest.fixture(scope="module")
def log():
    return choices()


@pytest.fixture(scope="module")
def trained(log):
    return train_and_measure(log, QUICK)


def text_of(trained):
    return trained.model.booster.model_to_string()


def test_what_is_measured_was_never_trained_on(log, trained):
    assert trained.end == log[-1].touch.at
    assert abs(trained.end - trained.cut - 7 * DAY) < 1_000
    assert trained.model.metadata["until"] < trained.cut
    measured = sum(event.touch.at >= trained.cut for event in log)
    assert 50 < trained.found.impressions < measured
    # Events after the cut change the metrics, but not the model.
    changed = [
        e._replace(touch=e.touch._replace(kblock_id=log[i].touch.kblock_id))
        if e.touch.at >= trained.cut else e
        for i, e in enumerate(log)
    ]  # fmt: skip
    assert text_of(train_and_measure(changed, QUICK)) == text_of(trained)


def test_better_is_what_is_better_beyond_chance(trained):
    verdict = trained.verdict()
    assert verdict.is_better
    assert verdict.than == "personal"
    assert verdict.reason.startswith("better than personal: NDCG@10 +")
    said = run_metrics(trained)
    assert list(said["rankings"]) == ["candidate", "personal"]
    assert said["verdict"]["is_better"] is True


def test_the_same_seed_and_log_give_the_same_model(log, trained):
    assert text_of(train_and_measure(log, QUICK)) == text_of(trained)


def test_beside_the_one_in_service(log, trained):
    again = train_and_measure(log, QUICK, in_service=trained.model)
    assert list(again.found.rankings) == ["candidate", "personal", "in_service"]
    verdict = again.verdict()
    assert (verdict.is_better, verdict.than) == (False, "in_service")  # it is the same model
    assert "not known to be better than in_service" in verdict.reason
    measured = run_metrics(again)["rankings"]
    assert measured["candidate"] == measured["in_service"]


def test_what_learned_from_shuffled_labels_is_not_better(log, monkeypatch):
    generator = np.random.default_rng(0)

    def shuffled(examples, settings):
        mixed = [each._replace(grades=generator.permutation(each.grades)) for each in examples]
        return train(mixed, settings)

    monkeypatch.setattr("harken.services.learning.rolling_training.train", shuffled)
    assert not train_and_measure(log, QUICK).verdict().is_better


@pytest.mark.parametrize(
    ("days", "window", "message"),
    [
        (0, 7, "log: has no events"),
        (5, 7, "must be longer than the 7d"),
        (31, 7, "has too few impressions to train on; 50"),
        (20, 7, "has no impressions to measure in its last 7d: they need 30d of log"),
        (60, 0, "window: must be more than 0"),
    ],
)
def test_too_little(log, days, window, message):
    some = [event for event in log if event.touch.at < START + days * DAY]
    with pytest.raises(InvalidInput, match=message):
        train_and_measure(some, QUICK, timedelta(days=window))


def test_a_short_log_is_learned_from_with_a_short_warm_up(log):
    some = [event for event in log if event.touch.at < START + 31 * DAY]
    with pytest.raises(InvalidInput, match="has too few impressions"):
        train_and_measure(some, QUICK)
    trained = train_and_measure(some, QUICK, warm_up=timedelta(days=7))
    assert trained.measured_from == trained.cut
    assert trained.found.impressions > 20
    late = train_and_measure(some, QUICK, timedelta(days=14), warm_up=timedelta(days=7))
    assert late.measured_from == late.cut < trained.cut
    assert late.found.impressions > trained.found.impressions


# Objectives


def with_outcomes(log):
    """Let even readers engage with what they chose, and odd ones dismiss new K-Blocks."""
    found = []
    for n, event in enumerate(log):
        found.append(event)
        reader = event.touch.user_id
        if reader == "maker":
            continue
        at = event.touch.at
        if int(reader[1:]) % 2 == 0:
            found.append(event._replace(touch=event.touch._replace(action="engage", at=at + 2)))
        elif n > 20:
            other = next(e.touch.kblock_id for e in log[n - 1 :: -1] if e.touch.user_id == "maker")
            dismissed = event.touch._replace(action="dismiss", kblock_id=other, at=at + 2)
            found.append(event._replace(touch=dismissed))
    return sorted(found, key=lambda event: event.touch.at)


def test_heads_are_trained_on_the_past_and_measured_on_what_was_held_out(log):
    trained = train_and_measure(with_outcomes(log), QUICK)
    assert set(trained.model.heads) == {"engage", "dismiss", "return"}
    found = run_metrics(trained)["objectives"]
    assert set(found) == {"engage", "dwell", "dismiss", "return"}
    assert "too few to learn from" in found["dwell"]["problem"]
    for name in ("engage", "dismiss"):
        head, measured = trained.model.heads[name], found[name]
        assert measured["trained_on"] == head.cases
        assert measured["cases"] >= 50
        # Even readers engage, and what is dismissed is new: both can be predicted.
        assert measured["log_loss"] < measured["log_loss_of_share"]
        assert 0.1 < measured["share"] < 0.9
    # First touches that were dismissals are cases, though no impressions.
    assert found["dismiss"]["cases"] > trained.found.impressions
    # The heads do not change the trees, nor the measured ranking.
    model = trained.model
    matrix = np.random.default_rng(1).normal(size=(9, len(model.names))).astype(np.float32)
    assert model.score(matrix).tolist() == replace(model, heads={}).score(matrix).tolist()


def test_what_follows_the_cut_does_not_change_the_heads(log):
    some = with_outcomes(log)
    trained = train_and_measure(some, QUICK)
    changed = [
        e._replace(touch=e.touch._replace(action="view")) if e.touch.at >= trained.cut else e
        for e in some
    ]
    assert train_and_measure(changed, QUICK).model.heads == trained.model.heads


# As text


def test_a_model_is_read_back(trained):
    read = restore("m", archive(trained.model), trained.model.metadata)
    matrix = np.random.default_rng(1).normal(size=(9, len(read.names))).astype(np.float32)
    assert read.score(matrix).tolist() == trained.model.score(matrix).tolist()
    assert read.metadata == trained.model.metadata


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": "tree\nversion=v4"}, "m was cut off or changed"),
        ({"checksum": "0" * 64}, "m was cut off or changed"),
        ({"features": {}}, "m is no ranker that Harken wrote"),
        ({"features": {"format": "harken-ranker"}}, "is no ranker that Harken wrote"),
        (
            {"features": {"version": 1}},
            "m has version 1, and 2 and 3 are read: the features have changed",
        ),
        ({"features": {"names": ["luck"]}}, "needs features that there are not: luck"),
        ({"features": {"names": ["age"]}}, "has other features than it says"),
    ],
)
def test_another_text_is_refused(trained, change, message):
    archived = archive(trained.model)
    features = change.get("features", archived.features)
    if features and "format" not in features:
        features = archived.features | features
    changed = type(archived)(**(archived.__dict__ | change | {"features": features}))
    with pytest.raises(InvalidModel, match=message):
        restore("m", changed, {})
