"""Models as text: what is kept of one, and what has to hold before it is used again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harken.errors import InvalidModel
from harken.services.learning.ranker import (
    FORMAT,
    VERSION,
    Model,
    lightgbm_or_refusal,
    unknown_among,
)

FOREIGN = "is no ranker that Harken wrote"


@dataclass(frozen=True)
class Archived:
    """A model's text, its SHA-256, and the features that it needs."""

    text: str
    checksum: str
    features: Mapping[str, Any]


def archive(model: Model) -> Archived:
    """Write a model as text."""
    text: str = model.booster.model_to_string()
    features = {"format": FORMAT, "version": VERSION, "names": list(model.names)}
    return Archived(text, _checksum(text), features)


def restore(name: str, archived: Archived, details: Mapping[str, Any]) -> Model:
    """Read a model back; `name` is what errors call it.

    Raises InvalidModel for a text that `archive` did not write, that was changed since, or whose
    features are not those of this version; MissingExtra without LightGBM.
    """
    if archived.features.get("format") != FORMAT or not _has_names(archived.features):
        raise InvalidModel(name, FOREIGN)
    version = archived.features.get("version")
    if version != VERSION:
        raise InvalidModel(name, f"has version {version}, and {VERSION} is read")
    # Before LightGBM sees it: what is no model of its own may end the process.
    if _checksum(archived.text) != archived.checksum:
        raise InvalidModel(name, "was cut off or changed since it was written")
    names = tuple(archived.features["names"])
    if unknown := unknown_among(names):
        raise InvalidModel(name, f"needs features that there are not: {', '.join(unknown)}")
    lightgbm = lightgbm_or_refusal()
    try:
        booster = lightgbm.Booster(model_str=archived.text)
    except lightgbm.basic.LightGBMError as error:  # it was written by a later one, perhaps
        raise InvalidModel(name, f"cannot be read by this LightGBM ({error})") from None
    if tuple(booster.feature_name()) != names:
        raise InvalidModel(name, "has other features than it says")
    return Model(booster, names, dict(details))


def read_object(name: str, text: str) -> dict[str, Any]:
    """Read what is kept beside a model; raises InvalidModel for anything but a JSON object."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidModel(name, FOREIGN)
    return value


def check_told(name: str, data: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Raise InvalidModel if what is told of a model is not made as it is shown."""
    rankings = metrics.get("rankings", {})
    parts = [data.get("sources", {}), metrics.get("verdict", {}), rankings]
    parts += rankings.values() if isinstance(rankings, dict) else ()
    if not all(isinstance(part, dict) for part in parts):
        raise InvalidModel(name, FOREIGN)


def _has_names(features: Mapping[str, Any]) -> bool:
    names = features.get("names")
    return isinstance(names, list) and all(isinstance(each, str) for each in names)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
