"""Texts of models: LightGBM gets only texts that are safe to load and score with."""

import json
import random
import re
import subprocess
import sys
from dataclasses import replace

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harken.errors import InvalidModel
from harken.services.features.names import NAMES
from harken.services.learning.model_storage import trials
from harken.services.learning.model_storage.archive import archive
from harken.services.learning.model_storage.text import read, write
from harken.services.learning.model_storage.trials import Trials
from tests.support.model_texts import (
    SMALL,
    first,
    small,
    texts,
    with_sizes,
    with_text,
    with_values,
)

ROWS = np.random.default_rng(5).normal(size=(20, len(NAMES))).astype(np.float32)
ROWS[:3] = np.array([[0.0], [np.nan], [1e30]])


@pytest.fixture(scope="module")
def text() -> str:
    return archive(small()).text


@pytest.mark.parametrize("leaves", [2, 7, 31])
@pytest.mark.parametrize("least", [1, 10, 299])
def test_what_is_written_anew_is_the_same_model(leaves, least):
    model = small(1, replace(SMALL, leaves=leaves, least_in_leaf=least, rounds=8))
    text = write(read("m", model.booster.model_to_string()))
    again = lightgbm.Booster(model_str=text)
    assert again.feature_name() == list(NAMES)
    for asked in ({}, {"pred_contrib": True}):
        expected = model.booster.predict(ROWS, **asked)
        assert np.array_equal(again.predict(ROWS, **asked), expected)


def test_a_split_by_whether_a_value_is_missing_is_the_same(text):
    changed = with_values("decision_type", first("8"))(with_values("threshold", first("inf"))(text))
    expected = lightgbm.Booster(model_str=changed)
    again = lightgbm.Booster(model_str=write(read("m", changed)))
    for asked in ({}, {"pred_contrib": True}):
        assert np.array_equal(again.predict(ROWS, **asked), expected.predict(ROWS, **asked))
    assert not np.array_equal(again.predict(ROWS), lightgbm.Booster(model_str=text).predict(ROWS))


def a_chain(depth: int) -> str:
    """Write a tree whose depth is its number of splits."""
    leaves = depth + 1
    left = [str(n + 1) for n in range(depth - 1)] + ["-1"]
    return "\n".join(
        [
            f"num_leaves={leaves}", "num_cat=0",
            "split_feature=" + " ".join(["0"] * depth), "split_gain=" + " ".join(["1"] * depth),
            "threshold=" + " ".join(["0.5"] * depth), "decision_type=" + " ".join(["8"] * depth),
            "left_child=" + " ".join(left),
            "right_child=" + " ".join(str(-2 - n) for n in range(depth)),
            "leaf_value=" + " ".join(["0.1"] * leaves), "leaf_weight=" + " ".join(["1"] * leaves),
            "leaf_count=" + " ".join(["1"] * leaves),
            "internal_value=" + " ".join(["0"] * depth),
            "internal_weight=" + " ".join(["1"] * depth),
            "internal_count=" + " ".join(str(leaves - n) for n in range(depth)),
            "is_linear=0", "shrinkage=1", "", "", "",
        ]
    )  # fmt: skip


def chains(count: int, depth: int):
    def change(text: str) -> str:
        head, rest = text.split("Tree=0\n", 1)
        trees = "".join(f"Tree={n}\n{a_chain(depth)}" for n in range(count))
        return with_sizes(head + trees + "end of trees" + rest.split("end of trees", 1)[1])

    return change


def test_a_chain_within_the_limits_is_read(text):
    assert len(read("m", chains(3, 40)(text)).trees) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_values("left_child", first("0")), "tree 0 does not reach each split"),
        (with_values("left_child", first("-1")), "tree 0 does not reach each split"),
        (with_values("right_child", first("99")), r"right_child should have numbers from -7 to 5"),
        (with_values("right_child", first("-99")), "right_child should have numbers from -7 to 5"),
        (with_values("split_feature", first("999999")), "split_feature should have numbers from"),
        (with_values("split_feature", first("-1")), "split_feature should have numbers from 0"),
        (with_values("threshold", first("nan")), "threshold should have 6 numbers"),
        (with_values("threshold", first("-inf")), "threshold should have 6 numbers"),
        (with_values("threshold", first("1e999")), "threshold should have finite numbers"),
        (with_values("leaf_value", first("inf")), "leaf_value should have 7 numbers"),
        (with_values("leaf_value", first("1e300")), "finite numbers, up to 1e"),
        (with_values("leaf_value", lambda values: values[:-1]), "leaf_value should have 7 numbers"),
        (with_values("leaf_value", lambda values: values * 2), "leaf_value should have 7 numbers"),
        (with_values("leaf_count", first("0")), "leaf_count should have numbers from 1"),
        (with_values("leaf_count", first("77")), "has a count at split"),
        (with_values("decision_type", first("1")), "decision_type that is not one of"),
        (with_values("decision_type", first("12")), "decision_type should have numbers from 0"),
        (with_values("num_leaves", first("2000000000")), "num_leaves should have numbers from 1"),
        (with_values("num_leaves", first("0")), "num_leaves should have numbers from 1 to 256"),
        (with_values("num_leaves", first("8")), "split_feature should have 7 whole numbers"),
        (with_values("num_cat", first("1")), "'num_cat=0' is expected here"),
        (with_values("is_linear", first("1")), "'is_linear=0' is expected here"),
        (with_values("shrinkage", first("1e999")), "shrinkage should have finite numbers"),
        (with_values("max_feature_idx", first("4000000000")), "max_feature_idx should have numb"),
        (with_values("max_feature_idx", first("3")), "feature_names should have 4 names"),
        (with_values("feature_names", first("")), f"have {len(NAMES)} names, each once"),
        (with_values("feature_names", first("a\tb")), f"have {len(NAMES)} names, each"),
        (with_values("num_class", first("2")), "num_class should be 1"),
        (with_values("version", first("v5")), "version should be v4"),
        (with_values("objective", first("binary")), "objective should be lambdarank"),
        (with_values("feature_infos", first("[0:1")), "feature_infos should have"),
        (
            lambda text: re.sub("tree_sizes=[0-9]*", "tree_sizes=1", text),
            "have the size in tree_sizes",
        ),
        (lambda text: re.sub("tree_sizes=.*", "tree_sizes=9", text), "have the size in tree_sizes"),
        (lambda text: re.sub("tree_sizes=.*", "tree_sizes=", text), "it has 0 trees; from 1 to"),
        (lambda text: text.replace("Tree=1", "Tree=0"), "'Tree=1' is expected here"),
        (lambda text: text.replace("Tree=1", "x=1\nTree=1"), "line .*: 'Tree=1' is expected"),
        (lambda text: text + "tree\n", "a blank line is expected|the text should end here"),
        (lambda text: text.replace("[seed: 0]", "[seed: \x00]"), "a parameter is expected here"),
        (lambda text: text[: len(text) // 2], "line .*: "),
        (chains(1, 300), "num_leaves should have numbers from 1 to 256"),
        (chains(300, 40), "the trees are too deep"),
        (chains(1, 255), "the trees are too deep"),
        (chains(1_001, 1), "it has 1001 trees"),
        (lambda text: text + "\n" * 50_000, "too large for a model"),
    ],
)
def test_a_text_that_lightgbm_could_stumble_over_is_refused(text, change, message):
    wild = change(text)
    assert wild != text
    with pytest.raises(InvalidModel, match=message):
        read("m", wild)


def test_a_tree_that_loops_away_from_its_root_is_refused(text):
    # The root has two leaves; two other splits have each other as children.
    left = with_values("left_child", lambda _: ["-1", "2", "1", "4", "5", "-6"])
    right = with_values("right_child", lambda _: ["-2", "-3", "3", "-4", "-5", "-7"])
    with pytest.raises(InvalidModel, match="a child of split 2 with a smaller number"):
        read("m", left(right(text)))


# Random changes

_NUMBERS = ["0", "-1", "1", "7", "255", "65536", "2147483647", "-2147483648", "99999999999",
            "1e308", "-1e308", "1e-320", "nan", "inf", "", "0x1", "1_0", "٣"]  # fmt: skip


def flip(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chr(chance.randrange(256)) + text[at + 1 :]


def cut(chance: random.Random, text: str) -> str:
    begin, end = sorted(chance.choices(range(len(text) + 1), k=2))
    return text[:begin] + text[end:] if chance.random() < 0.5 else text[:begin]


def repeat(chance: random.Random, text: str) -> str:
    begin, end = sorted(chance.choices(range(len(text) + 1), k=2))
    return text[:end] + text[begin:]


def swap(chance: random.Random, text: str) -> str:
    """Replace a number by another one, and correct the sizes."""
    found = chance.choice([*re.finditer(r"-?[0-9.]+(?:e-?[0-9]+)?|$", text)])
    other = chance.choice([*_NUMBERS, str(chance.randrange(-9, 9)), str(chance.gauss(0, 9))])
    return with_sizes(text[: found.start()] + other + text[found.end() :])


def exchange(chance: random.Random, text: str) -> str:
    """Swap two values of one line, such as two children."""
    lines = text.split("\n")
    at = chance.choice([n for n, line in enumerate(lines) if " " in line] or [0])
    key, _, values = lines[at].partition("=")
    mixed = values.split(" ")
    one, two = chance.randrange(len(mixed)), chance.randrange(len(mixed))
    mixed[one], mixed[two] = mixed[two], mixed[one]
    lines[at] = f"{key}={' '.join(mixed)}"
    return "\n".join(lines)


CHANGES = [flip, cut, repeat, swap, swap, exchange, exchange]

ASK = """
import faulthandler, json, sys
import lightgbm, numpy as np
faulthandler.enable()
rows = np.random.default_rng(0).normal(size=(5, {columns})).astype(np.float32)
rows[0], rows[1] = np.nan, 1e30
for text in json.load(sys.stdin):
    booster = lightgbm.Booster(model_str=text)
    for asked in ({{}}, {{"pred_contrib": True}}):
        assert np.isfinite(booster.predict(rows, num_threads=1, **asked)).all(), text
"""


def test_whatever_is_changed_it_is_refused_or_can_be_asked():
    originals = list(texts(3))
    accepted: dict[str, None] = {}
    said: list[str] = []

    @settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(originals), st.randoms(use_true_random=False), st.integers(1, 3))
    def change(text: str, chance: random.Random, times: int) -> None:
        for _ in range(times):
            text = chance.choice(CHANGES)(chance, text)
        try:
            accepted[write(read("m", text))] = None
        except InvalidModel as refused:
            said.append(str(refused))

    change()
    assert max(map(len, said)) < 300
    # Some changes are harmless, such as another threshold.
    assert len(accepted) > 5
    # In a separate process, so that this one can report a crash.
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(columns=len(NAMES))],
        input=json.dumps(list(accepted)).encode(), capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2_000:]


# The child


async def test_a_model_is_tried_by_a_child_once():
    archived = archive(small())
    tried = Trials()
    for _ in range(2):
        assert (await tried.restore("m", archived, {})).score(ROWS).shape == (20,)
    assert list(tried._passed) == [archived.checksum]
    another = Trials((sys.executable, "-c", "raise SystemExit(1)"))
    with pytest.raises(InvalidModel, match="by a separate process: exit code 1"):
        await another.restore("m", archived, {})


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os; os.abort()", "it was ended by signal 6"),
        ("while True: pass", "it took more than 0.5 seconds"),
        ("raise SystemExit('its scores are not finite')", "its scores are not finite"),
        (None, "it cannot be started"),
    ],
)
async def test_what_ends_the_child_ends_no_more(monkeypatch, program, message):
    if "while" in (program or ""):
        monkeypatch.setattr(trials, "PATIENCE_SECONDS", 0.5)
    command = (sys.executable, "-c", program) if program else ("/no/such/program",)
    with pytest.raises(InvalidModel, match=message):
        await Trials(command).restore("m", archive(small()), {})


async def test_a_text_that_is_no_tree_never_reaches_the_child(text):
    archived = with_text(archive(small()), with_values("left_child", first("0"))(text))
    with pytest.raises(InvalidModel, match="does not reach each split"):
        await Trials(("/no/such/program",)).restore("m", archived, {})


def test_what_lightgbm_cannot_do_with_a_text_ends_the_child(text):
    """Without the earlier check, the child process alone protects the server from a text."""
    for each in (with_values("split_feature", first("99999999"))(text), text[:3_000]):
        done = subprocess.run(
            trials.PROGRAM, input=each.encode(), capture_output=True, timeout=300, check=False
        )
        assert done.returncode != 0
    well = subprocess.run(trials.PROGRAM, input=text.encode(), check=False, timeout=300)
    assert well.returncode == 0
