"""Heads: a logistic regression for each objective, over the features of the ranker.

A head says how likely an outcome is for a K-Block that the reader opens or dismisses. It adds
nothing to a score by itself: an operator gives it a weight, and the score gets the weight times the
head's log-odds. So without weights the order is that of the ranker alone.

Logistic regression is chosen for its size (numbers that are read without risk), and because it is
calibrated on its training data by its own objective (the mean prediction is the share of outcomes).
"""

import importlib
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from harken.errors import MissingExtra
from harken.services.features.names import NAMES
from harken.services.features.traces import Matrix

Floats = NDArray[np.float64]

LEAST = 50
"""The fewest cases with an outcome, and without it, from which a head is trained."""
RIDGE = 300.0
"""The strength of the penalty ½ · RIDGE · Σ w², beside the sum of the log losses of all cases.

There are as many weights as features, and mostly some hundred cases with an outcome. Chosen on real
logs of 400 and 1,500 cases: docs/evaluation.md, "Objectives".
"""
_FURTHEST = 4.0
"""Standardised features are cut at this distance from their mean: a line goes on for ever."""

_Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]
_Scale = Annotated[float, Field(allow_inf_nan=False, ge=1e-9, le=1e9)]


class Head(BaseModel):
    """The parameters of one logistic regression; lists have a number for each of `names`.

    `cases` is the number of examples, `share` the share of them that have the outcome.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    names: tuple[str, ...] = Field(min_length=1, max_length=10_000, strict=False)
    means: tuple[_Number, ...] = Field(strict=False)
    scales: tuple[_Scale, ...] = Field(strict=False)
    weights: tuple[_Number, ...] = Field(strict=False)
    intercept: _Number
    cases: int = Field(ge=1)
    share: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _fit_together(self) -> "Head":
        sizes = {len(self.names), len(self.means), len(self.scales), len(self.weights)}
        if len(sizes) != 1:
            raise ValueError("means, scales and weights must have a number for each name")
        if unknown := [name for name in self.names if name not in NAMES]:
            raise ValueError(f"features {[each[:64] for each in unknown[:5]]} are unknown")
        return self

    @cached_property
    def _columns(self) -> list[int]:
        return [NAMES.index(name) for name in self.names]

    def log_odds(self, matrix: Matrix) -> Floats:
        """Return the log-odds of the outcome for each row of a matrix (candidates × `NAMES`)."""
        rows = matrix[:, self._columns].astype(np.float64)
        found: Floats = _standard(rows, np.array(self.means), np.array(self.scales)) @ np.array(
            self.weights
        )
        return found + self.intercept


def probabilities(log_odds: Floats) -> Floats:
    """Return the probabilities with these log-odds."""
    found: Floats = 1 / (1 + np.exp(-np.clip(log_odds, -500, 500)))
    return found


def fit_head(names: Sequence[str], rows: Matrix, labels: NDArray[np.bool_]) -> Head | None:
    """Fit a head to rows (cases × `NAMES`) with their outcomes; None if there are too few of each.

    The weights minimise the sum of log losses and the ridge penalty (Hoerl and Kennard 1970; le
    Cessie and van Houwelingen 1992), by L-BFGS. Raises MissingExtra without SciPy.
    """
    count, positive = len(labels), int(labels.sum())
    if min(positive, count - positive) < LEAST:
        return None
    own = rows[:, [NAMES.index(name) for name in names]].astype(np.float64)
    means, spread = own.mean(axis=0), own.std(axis=0)
    scales = np.where(spread > 1e-6, spread, 1.0)
    standard, signs = _standard(own, means, scales), np.where(labels, 1.0, -1.0)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, intercept = parameters[:-1], parameters[-1]
        margins = signs * (standard @ weights + intercept)
        slopes = -signs * probabilities(-margins)
        total = np.logaddexp(0, -margins).sum() + RIDGE / 2 * weights @ weights
        gradient = np.append(standard.T @ slopes + RIDGE * weights, slopes.sum())
        return float(total) / count, gradient / count

    start = np.zeros(len(names) + 1)
    start[-1] = np.log(positive / (count - positive))
    found = _minimize()(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return Head(
        names=tuple(names), means=tuple(means.tolist()), scales=tuple(scales.tolist()),
        weights=tuple(found[:-1].tolist()), intercept=float(found[-1]),
        cases=count, share=positive / count,
    )  # fmt: skip


def _standard(rows: Floats, means: Floats, scales: Floats) -> Floats:
    found: Floats = np.clip((rows - means) / scales, -_FURTHEST, _FURTHEST)
    return found


def _minimize() -> Any:
    try:
        return importlib.import_module("scipy.optimize").minimize
    except ImportError:
        raise MissingExtra("The learned ranking", "learning") from None
