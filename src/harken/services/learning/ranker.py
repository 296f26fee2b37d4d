"""The learned order: LambdaRank over `NAMES`, trained, asked, written down and read back.

Burges, From RankNet to LambdaRank to LambdaMART: an overview, Microsoft Research, 2010. The trees
are grown by LightGBM (Ke et al., NIPS 2017), which comes with the extra `learning`. One thread and
explicit seeds: the same examples give the same model.
"""

import hashlib
import importlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.errors import InvalidModel, MissingExtra
from harken.services.features.names import FAMILIES, NAMES, family
from harken.services.features.traces import Matrix

Floats = NDArray[np.float64]

FORMAT = "harken-ranker"
VERSION = 1

DISMISSED, PASSED, VIEWED, READ, ENGAGED = range(5)
"""Grades of what a reader did with a candidate, later ones better."""
_GAINS = [0.0, 0.05, 1.0, 1.25, 1.5]


@dataclass(frozen=True)
class RankerSettings:
    """How a ranker is trained; raises ValueError for what cannot be.

    At most `rounds` trees of `leaves` leaves, fewer where the latest `validation` of the examples
    finds nothing better for `patience` trees. `without` are families of features to leave out.
    With fewer than `fewest` examples nothing is trained.
    """

    rounds: int = 120
    leaves: int = 31
    learning_rate: float = 0.1
    least_in_leaf: int = 100
    smoothing: float = 5.0
    share_of_features: float = 0.5
    share_of_rows: float = 0.8
    bins: int = 63
    depth_of_interest: int = 20
    validation: float = 0.1
    patience: int = 20
    fewest: int = 2_000
    seed: int = 0
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if unknown := set(self.without) - FAMILIES.keys():
            raise ValueError(f"families {sorted(unknown)} are unknown; known are {list(FAMILIES)}")
        if not 0 < self.validation < 1:
            raise ValueError("validation must lie between 0 and 1")

    @property
    def names(self) -> tuple[str, ...]:
        """The features that are used."""
        return tuple(name for name in NAMES if family(name) not in self.without)

    def parameters(self) -> dict[str, Any]:
        """Return what LightGBM calls all this."""
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
    """One choice: the features of what could be chosen (columns as `NAMES`), and grades of it.

    `at` is in microseconds since 1970.
    """

    at: int
    matrix: Matrix
    grades: NDArray[np.int8]


@dataclass(frozen=True)
class Model:
    """A trained order. `metadata` says of what: features, examples, their time, seed, metrics."""

    booster: Any
    names: tuple[str, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def rank(self, matrix: Matrix) -> Floats:
        """Return a score for each row of a matrix with columns as `NAMES`, more for better."""
        if not len(matrix):
            return np.zeros(0)
        chosen = matrix if self.names == NAMES else matrix[:, _columns(self.names)]
        scores: Floats = self.booster.predict(chosen, num_threads=1)
        return scores

    def contributions(self, matrix: Matrix) -> Floats:
        """Return what each of `names` adds to each score, and last what every row has.

        A row's sum is its score; by TreeSHAP (Lundberg et al. 2020).
        """
        chosen = matrix if self.names == NAMES else matrix[:, _columns(self.names)]
        parts: Floats = self.booster.predict(chosen, num_threads=1, pred_contrib=True)
        return parts


def train(examples: Sequence[Example], settings: RankerSettings | None = None) -> Model | None:
    """Train on choices, the latest last; None where there are too few.

    How many trees there are is found on the latest examples, by a model that did not see them.
    Then a model of as many is trained on all. Raises MissingExtra without LightGBM.
    """
    settings = settings or RankerSettings()
    if len(examples) < settings.fewest:
        return None
    lightgbm = lightgbm_or_refusal()
    cut = len(examples) - max(1, round(len(examples) * settings.validation))
    names, parameters = list(settings.names), settings.parameters()

    def dataset(some: Sequence[Example], reference: Any = None) -> Any:
        matrix = np.concatenate([example.matrix for example in some])
        return lightgbm.Dataset(
            matrix if settings.names == NAMES else matrix[:, _columns(settings.names)],
            np.concatenate([example.grades for example in some]),
            group=[len(example.grades) for example in some],
            feature_name=names,
            reference=reference,
        )

    earlier = dataset(examples[:cut])
    found = lightgbm.train(
        parameters,
        earlier,
        settings.rounds,
        valid_sets=[dataset(examples[cut:], earlier)],
        valid_names=["latest"],
        callbacks=[lightgbm.early_stopping(settings.patience, verbose=False)],
    )
    trees = max(1, found.best_iteration)
    booster = lightgbm.train(parameters, dataset(examples), trees)
    return Model(
        booster,
        settings.names,
        {
            "examples": len(examples),
            "from": examples[0].at,
            "until": examples[-1].at,
            "trees": trees,
            "seed": settings.seed,
            "metrics": {"ndcg@10": float(found.best_score["latest"]["ndcg@10"])},
            "settings": asdict(settings),
        },
    )


def save(model: Model, path: Path) -> None:
    """Write a model down: a line of JSON, then LightGBM's own text. A file there is replaced."""
    text = model.booster.model_to_string()
    head = {
        "format": FORMAT,
        "version": VERSION,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "features": list(model.names),
        "metadata": dict(model.metadata),
    }
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    beside.write_text(f"{json.dumps(head)}\n{text}", "utf-8", newline="\n")
    beside.replace(path)


def load(path: Path) -> Model:
    """Read a model back.

    Raises InvalidModel for a file that `save` did not write, that was changed since, or whose
    features are not those of this version; MissingExtra without LightGBM; OSError.
    """
    line, _, text = path.read_bytes().partition(b"\n")
    head = _head(path, line)
    if hashlib.sha256(text).hexdigest() != head.get("sha256"):
        raise InvalidModel(str(path), "was cut off or changed since it was written")
    names = tuple(head["features"])
    if unknown := [name for name in names if name not in NAMES]:
        raise InvalidModel(str(path), f"needs features that there are not: {', '.join(unknown)}")
    booster = lightgbm_or_refusal().Booster(model_str=text.decode())
    if tuple(booster.feature_name()) != names:
        raise InvalidModel(str(path), "has other features than it says")
    return Model(booster, names, head["metadata"])


def _head(path: Path, line: bytes) -> dict[str, Any]:
    try:
        head: Any = json.loads(line)
    except ValueError:
        head = None
    if not _is_head(head):
        raise InvalidModel(str(path), "is no ranker that Harken wrote")
    if head.get("version") != VERSION:
        raise InvalidModel(str(path), f"has version {head.get('version')}, and {VERSION} is read")
    return dict(head)


def _is_head(head: Any) -> bool:
    return (
        isinstance(head, dict)
        and head.get("format") == FORMAT
        and isinstance(head.get("metadata"), dict)
        and isinstance(head.get("features"), list)
        and all(isinstance(name, str) for name in head["features"])
    )


def _columns(names: Sequence[str]) -> NDArray[np.intp]:
    return np.array([NAMES.index(name) for name in names], np.intp)


def lightgbm_or_refusal() -> Any:
    """Return the library; raises MissingExtra where it is not installed."""
    try:
        return importlib.import_module("lightgbm")
    except ImportError:
        raise MissingExtra("The learned ranking", "learning") from None
