"""The learned ranking: a LambdaRank model over the features `NAMES`; trains it and scores with it.

Burges, From RankNet to LambdaRank to LambdaMART: an overview, Microsoft Research, 2010. The trees
are grown by LightGBM (Ke et al., NIPS 2017), which comes with the extra `learning`. Training uses
one thread and explicit seeds, so the same examples give the same model.
"""

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.errors import MissingExtra
from harken.services.features.names import FAMILIES, NAMES, OF_WHO_CAME, PERSONAL_SCORE, family
from harken.services.features.traces import Matrix
from harken.services.learning.objectives.heads import Head

Floats = NDArray[np.float64]

FORMAT = "harken-ranker"
VERSION = 2
"""The version of the features: it changes when the meaning of any of them does."""

POSITION = "position"
"""The position of a candidate in its slate, from 0: a feature of examples from slates only.

Readers look at what is at the top, whatever it is. A model that knows the positions need not
explain clicks at the top by other features. For scoring, all candidates have the position 0. See
Haldar et al., Improving Deep Learning for Airbnb Search, KDD 2020; Guo et al., PAL, RecSys 2019.
"""

DISMISSED, PASSED, VIEWED, READ, ENGAGED = range(5)
"""Grades of what a reader did with a candidate, from worst to best."""
_GAINS = [0.0, 0.05, 1.0, 1.25, 1.5]
_PASSED_SHARE = 1 / 3
_FEW, _FEW_LEAVES, _FEW_LEARNING_RATE = 700, 15, 0.05
_PERSONAL = NAMES.index(PERSONAL_SCORE)


@dataclass(frozen=True)
class RankerSettings:
    """How a ranker is trained; raises ValueError for invalid values.

    A model has at most `rounds` trees of `leaves` leaves. Early stopping chooses the number of
    trees on the latest share `validation` of the examples, with a patience of `patience` trees.
    `without` are families of features to leave out; `only` are the features to use, all if it is
    empty. Training needs at least `fewest` examples.
    `position` says whether a candidate's position is a feature, if some examples have one.

    With fewer than `base_below` examples, trees are grown from the personal score in place of 0
    (LightGBM's `init_score`), so that few examples need not teach what it says already. These trees
    are smaller, and each counts less: see `suited_to`.
    """

    rounds: int = 80
    leaves: int = 31
    learning_rate: float = 0.1
    least_in_leaf: int = 100
    smoothing: float = 5.0
    share_of_features: float = 0.5
    share_of_rows: float = 0.8
    bins: int = 255
    depth_of_interest: int = 20
    validation: float = 0.1
    patience: int = 20
    fewest: int = 200
    seed: int = 0
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    position: bool = True
    base_below: int = 3_000

    def __post_init__(self) -> None:
        if unknown := set(self.without) - FAMILIES.keys():
            raise ValueError(f"families {sorted(unknown)} are unknown; known are {list(FAMILIES)}")
        if not 0 < self.validation < 1:
            raise ValueError("validation must lie between 0 and 1")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features to use."""
        used = self.only or NAMES
        return tuple(name for name in NAMES if name in used and family(name) not in self.without)

    def base_of(self, examples: int) -> float:
        """Return the weight of the personal score under a model of so many examples, or 0."""
        return 1.0 if examples < self.base_below else 0.0

    def suited_to(self, examples: int) -> "RankerSettings":
        """Return these settings, with smaller trees and steps for so few examples as have a base.

        The fewer there are, the less the trees move away from the base. Both were chosen on small
        logs: docs/evaluation.md, "Small logs".
        """
        if examples >= self.base_below:
            return self
        rate = _FEW_LEARNING_RATE * min(1.0, examples / _FEW)
        return replace(
            self,
            leaves=min(self.leaves, _FEW_LEAVES),
            learning_rate=min(self.learning_rate, rate),
        )

    def parameters(self) -> dict[str, Any]:
        """Return these settings as LightGBM's parameters."""
        return {
            "objective": "lambdarank",
            "metric": "ndcg",
            "eval_at": [10],
            "label_gain": _GAINS,
            "lambdarank_truncation_level": self.depth_of_interest,
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.least_in_leaf,
            "lambda_l2": self.smoothing,
            "feature_fraction": self.share_of_features,
            "bagging_fraction": self.share_of_rows,
            "bagging_freq": 1,
            "max_bin": self.bins,
            "seed": self.seed,
            "num_threads": 1,
            "deterministic": True,
            "force_col_wise": True,
            "verbose": -1,
        }


class Example(NamedTuple):
    """One training example: candidates × `NAMES`, and a grade for each candidate.

    `at` is in microseconds since 1970. `positions` are those in a slate, from 0; None without one.
    `weight` is how much the example counts, above 0.
    """

    at: int
    matrix: Matrix
    grades: NDArray[np.int8]
    positions: NDArray[np.float32] | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class Model:
    """A trained ranking; `metadata` says from which examples, settings and seed."""

    booster: Any
    names: tuple[str, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    base: float = 0.0
    """The weight of the personal score, from which the trees were grown; 0 if from nothing."""
    heads: Mapping[str, Head] = field(default_factory=dict)
    """What predicts outcomes, by objective; `score` does not use them."""

    def score(self, matrix: Matrix) -> Floats:
        """Return a score for each row of a matrix (candidates × `NAMES`); higher is better."""
        if not len(matrix):
            return np.zeros(0)
        scores: Floats = self.booster.predict(self.inputs(matrix), num_threads=1)
        return scores + self.base_part(matrix) if self.base else scores

    def base_part(self, matrix: Matrix) -> Floats:
        """Return what the personal score adds to each score; the trees add the rest."""
        part: Floats = self.base * matrix[:, _PERSONAL].astype(np.float64)
        return part

    def inputs(self, matrix: Matrix) -> Matrix:
        """Return the trees' input: the model's columns of a matrix, with position 0."""
        return _inputs(matrix, self.names, np.zeros(len(matrix), np.float32))

    def contributions(self, matrix: Matrix) -> Floats:
        """Return what each of `names` adds to each score through the trees, and last the bias.

        The shape is candidates × (names + 1). A row's sum and its `base_part` are its score. The
        method is TreeSHAP (Lundberg et al. 2020).
        """
        inputs = self.inputs(matrix)
        parts: Floats = self.booster.predict(inputs, num_threads=1, pred_contrib=True)
        return parts


def train(examples: Sequence[Example], settings: RankerSettings | None = None) -> Model | None:
    """Train on examples, the latest last; returns None if there are too few.

    Early stopping finds the number of trees on the latest examples, with a model that did not see
    them. Then a model of as many trees is trained on all. Raises MissingExtra without LightGBM.
    """
    settings = settings or RankerSettings()
    if len(examples) < settings.fewest:
        return None
    lightgbm = require_lightgbm()
    slates = sum(example.positions is not None for example in examples)
    names = _names(settings, with_slates=slates > 0)
    base = settings.base_of(len(examples))
    settings = settings.suited_to(len(examples))
    parameters = settings.parameters()
    whole = lightgbm.Dataset(
        # A list of matrices is not copied; joined, they would be in memory twice.
        [_inputs(example.matrix, names, _places(example)) for example in examples],
        np.concatenate([example.grades for example in examples]),
        group=[len(example.grades) for example in examples],
        init_score=_base_scores(examples, base) if base else None,
        weight=_row_weights(examples),
        feature_name=list(names),
        params=parameters,
    ).construct()
    trees, reached = _early_stopping(lightgbm, whole, examples, settings)
    booster = lightgbm.train(parameters, whole, trees)
    return Model(
        booster,
        names,
        {
            "examples": len(examples),
            "sources": {"slates": slates, "replay": len(examples) - slates},
            "from": examples[0].at,
            "until": examples[-1].at,
            "trees": trees,
            "seed": settings.seed,
            "metrics": {"ndcg@10": reached},
            "settings": asdict(settings),
            "base": PERSONAL_SCORE if base else None,
        },
        base,
    )


def _base_scores(examples: Sequence[Example], base: float) -> Floats:
    columns = [example.matrix[:, _PERSONAL] for example in examples]
    return base * np.concatenate(columns).astype(np.float64)


def _names(settings: RankerSettings, *, with_slates: bool) -> tuple[str, ...]:
    """Return the features to train on; slates add the position, and exclude `OF_WHO_CAME`."""
    if not with_slates:
        return settings.names
    names = tuple(name for name in settings.names if name not in OF_WHO_CAME)
    return (*names, POSITION) if settings.position else names


def _early_stopping(
    lightgbm: Any, whole: Any, examples: Sequence[Example], settings: RankerSettings
) -> tuple[int, float]:
    """Return the number of trees, and their NDCG@10 on the latest examples.

    It is the largest number whose NDCG@10 is at most a standard error below the best. The standard
    error of n values between 0 and 1 with the mean m is at most √(m (1 − m) / n) (Bhatia and Davis,
    A better bound on the variance, 2000). The best value itself comes too early by chance; more
    trees improve orders that nobody was shown. To save time, two thirds of the passed-over
    candidates are left out here, since they are the majority.
    """
    cut = len(examples) - max(1, round(len(examples) * settings.validation))
    sizes = [len(example.grades) for example in examples]
    begin = sum(sizes[:cut])
    grades = np.concatenate([example.grades for example in examples[:cut]])
    kept = np.random.default_rng(settings.seed).random(begin) < _PASSED_SHARE
    kept |= grades != PASSED
    owner = np.repeat(np.arange(cut), sizes[:cut])[kept]
    earlier = whole.subset(np.flatnonzero(kept))
    earlier.set_group(np.unique(owner, return_counts=True)[1])
    latest = whole.subset(np.arange(begin, sum(sizes)))
    latest.set_group(sizes[cut:])
    curve: list[float] = []

    def check(at: Any) -> None:
        curve.append(at.evaluation_result_list[0][2])
        if len(curve) - _near_best(curve, len(examples) - cut) >= settings.patience:
            raise lightgbm.callback.EarlyStopException(len(curve) - 1, at.evaluation_result_list)

    lightgbm.train(
        settings.parameters() | {"min_data_in_leaf": round(settings.least_in_leaf * _PASSED_SHARE)},
        earlier,
        settings.rounds,
        valid_sets=[latest],
        valid_names=["latest"],
        callbacks=[check],
    )
    trees = _near_best(curve, len(examples) - cut)
    return trees, curve[trees - 1]


def _near_best(curve: Sequence[float], count: int) -> int:
    """Return the last number of trees at most a standard error below the best of a curve."""
    best = max(curve)
    error = math.sqrt(max(best * (1 - best), 0.0) / count)
    return max(place for place, value in enumerate(curve) if value >= best - error) + 1


def _row_weights(examples: Sequence[Example]) -> NDArray[np.float32] | None:
    """Return the weight of each row, as LightGBM takes them; None if all examples weigh 1."""
    weights = np.array([example.weight for example in examples], np.float32)
    sizes = [len(example.grades) for example in examples]
    return None if (weights == 1).all() else np.repeat(weights, sizes)


def unknown_among(names: Sequence[str]) -> list[str]:
    """Return the names that are not names of features."""
    return [name for name in names if name not in NAMES and name != POSITION]


def _places(example: Example) -> NDArray[np.float32]:
    if example.positions is None:
        return np.full(len(example.matrix), np.nan, np.float32)
    return example.positions


def _inputs(matrix: Matrix, names: Sequence[str], positions: NDArray[np.float32]) -> Matrix:
    """Return the columns with these names; `POSITION` stands for `positions`."""
    if names == NAMES:
        return matrix
    columns = [NAMES.index(name) for name in names if name != POSITION]
    chosen = matrix[:, columns]
    return np.column_stack([chosen, positions]) if POSITION in names else chosen


def require_lightgbm() -> Any:
    """Return the module `lightgbm`; raises MissingExtra if it is not installed."""
    try:
        return importlib.import_module("lightgbm")
    except ImportError:
        raise MissingExtra("The learned ranking", "learning") from None
