"""Models that a test can foresee: they order K-Blocks by age, or by chance."""

from functools import cache

import numpy as np
import pytest

from harken.services.features.names import NAMES
from harken.services.learning.model_storage import trials
from harken.services.learning.ranker import (
    PASSED,
    VIEWED,
    Example,
    Model,
    RankerSettings,
    train,
)
from harken.services.registry import store

_PASSED: dict[str, None] = {}

COUNT = 3  # few, so that ages of every size are compared
_AGE = NAMES.index("age")


class TriedOnce(trials.Trials):
    """Restores models, each of which is tried by a child process once in a run of the tests."""

    def __init__(self, program: tuple[str, ...] = trials.PROGRAM) -> None:
        super().__init__(program)
        if program == trials.PROGRAM:
            self._passed = _PASSED


@pytest.fixture
def models_are_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stores of models share which ones passed: a command or a service opens a new store."""
    monkeypatch.setattr(store, "Trials", TriedOnce)


@cache
def age_model(*, newest_first: bool, seed: int = 0, without: tuple[str, ...] = ()) -> Model:
    """Return a model that was trained to choose the newest, or the oldest, of some K-Blocks.

    `without` are families of features that it does not have.
    """
    generator, examples = np.random.default_rng(seed), []
    best = np.argmin if newest_first else np.argmax
    for number in range(800):
        matrix = np.zeros((COUNT, len(NAMES)), np.float32)
        # Logarithms of seconds, from minutes to weeks.
        matrix[:, _AGE] = generator.uniform(6, 15, COUNT)
        grades = np.full(COUNT, PASSED, np.int8)
        grades[best(matrix[:, _AGE])] = VIEWED
        examples.append(Example(number, matrix, grades))
    settings = RankerSettings(
        rounds=60,
        fewest=10,
        least_in_leaf=5,
        share_of_features=1.0,
        base_below=0,
        seed=seed,
        without=without,
    )
    model = train(examples, settings)
    assert model is not None
    return model
