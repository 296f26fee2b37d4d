"""What a model needs beside its trees: the base that they were grown from, and its heads.

A model that needs neither has the version of its features. One that does has the next version, so
that a program that does not know of them refuses it in place of scoring without them. Its checksum
covers them.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from harken.domain.objectives import OBJECTIVES
from harken.errors import InvalidModel
from harken.services.features.names import PERSONAL_SCORE
from harken.services.learning.objectives.heads import Head
from harken.services.learning.ranker import FORMAT, VERSION, Model

WITH_ADDITIONS = VERSION + 1
_OTHERS = "the features have changed, so train another one"
_LARGEST_BASE = 100.0
_KEYS = ("base", "objectives")


class Additions(NamedTuple):
    """The weight of the personal score in each score (0 without a base), and heads by objective."""

    base: float = 0.0
    heads: Mapping[str, Head] = {}


def described(model: Model) -> dict[str, Any]:
    """Return the JSON object that says what a model needs: `Archived.features`."""
    features: dict[str, Any] = {"format": FORMAT, "version": VERSION, "names": list(model.names)}
    if model.base:
        features["base"] = {"feature": PERSONAL_SCORE, "weight": model.base}
    if model.heads:
        heads = {name: head.model_dump(mode="json") for name, head in model.heads.items()}
        features["objectives"] = heads
    if len(features) > len(("format", "version", "names")):
        features["version"] = WITH_ADDITIONS
    return features


def read_additions(name: str, features: Mapping[str, Any]) -> Additions:
    """Parse what `described` wrote; `name` is the model's name in errors.

    Raises InvalidModel for another version, and for a base or a head that this version does not
    know.
    """
    version = features.get("version")
    if version not in {VERSION, WITH_ADDITIONS} or isinstance(version, bool):
        known = f"{VERSION} and {WITH_ADDITIONS} are read: {_OTHERS}"
        raise InvalidModel(name, f"has version {version!r:.20}, and {known}")
    if version == VERSION:
        if any(key in features for key in _KEYS):
            raise InvalidModel(name, f"has more than a model of version {VERSION}")
        return Additions()
    return Additions(_base(name, features.get("base")), _heads(name, features.get("objectives")))


def checksum(text: str, features: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a model's text, and of its additions if it has some."""
    digest = hashlib.sha256(text.encode())
    added = {key: features[key] for key in _KEYS if key in features}
    if added:
        digest.update(json.dumps(added, sort_keys=True, separators=(",", ":")).encode())
    return digest.hexdigest()


def _base(name: str, base: Any) -> float:
    if base is None:
        return 0.0
    if not isinstance(base, dict) or base.keys() != {"feature", "weight"}:
        raise InvalidModel(name, "has a base that is not known")
    feature, weight = base["feature"], base["weight"]
    if feature != PERSONAL_SCORE:
        raise InvalidModel(
            name, f"was grown from {feature!r:.64}, which is not known; {PERSONAL_SCORE} is"
        )
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not is_number or not 0 < weight <= _LARGEST_BASE:
        raise InvalidModel(name, "has a base whose weight is no number above 0")
    return float(weight)


def _heads(name: str, heads: Any) -> Mapping[str, Head]:
    if heads is None:
        return {}
    if not isinstance(heads, dict) or not heads.keys() <= OBJECTIVES.keys():
        raise InvalidModel(name, "has objectives that are not known")
    return {objective: _head(name, objective, head) for objective, head in heads.items()}


def _head(name: str, objective: str, head: Any) -> Head:
    try:
        return Head.model_validate(head)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, [objective, *first["loc"]]))
        what = first["msg"].removeprefix("Value error, ")
        raise InvalidModel(name, f"has a head that cannot be used: {where:.64}: {what}") from None
