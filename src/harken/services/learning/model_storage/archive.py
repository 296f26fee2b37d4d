"""Models as text: what is kept of one, and what has to hold before it is used again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harken.errors import InvalidModel
from harken.services.features.former_names import present_names
from harken.services.learning.model_storage import text
from harken.services.learning.ranker import (
    FORMAT,
    VERSION,
    Model,
    lightgbm_or_refusal,
    unknown_among,
)

FOREIGN = "is no ranker that Harken wrote"
_LARGEST_SHOWN = 1e15


@dataclass(frozen=True)
class Archived:
    """A model's text, its SHA-256, and the features that it needs."""

    text: str
    checksum: str
    features: Mapping[str, Any]


def archive(model: Model) -> Archived:
    """Write a model as text. Raises InvalidModel for one that could not be read back."""
    text: str = model.booster.model_to_string()
    features = {"format": FORMAT, "version": VERSION, "names": list(model.names)}
    archived = Archived(text, _checksum(text), features)
    check("the model", archived)
    return archived


def check(name: str, archived: Archived) -> str:
    """Return the text that LightGBM may read; `name` is what errors call the model.

    LightGBM is not asked: what is no model of its own may end the process. Raises InvalidModel for
    a text that `archive` did not write, that was changed since, or whose features are unknown.
    Features under their former names are given their present names.
    """
    if archived.features.get("format") != FORMAT or not _has_names(archived.features):
        raise InvalidModel(name, FOREIGN)
    version = archived.features.get("version")
    if version != VERSION:
        raise InvalidModel(name, f"has version {version!r:.20}, and {VERSION} is read")
    if _checksum(archived.text) != archived.checksum:
        raise InvalidModel(name, "was cut off or changed since it was written")
    names = tuple(archived.features["names"])
    present = present_names(names)
    if unknown := unknown_among(present):
        some = ", ".join(f"{each:.64}" for each in unknown[:5])
        raise InvalidModel(name, f"needs features that there are not: {some}")
    found = text.read(name, archived.text)
    if found.names != names or len(set(present)) != len(present):
        raise InvalidModel(name, "has other features than it says")
    return text.write(replace(found, names=present))


def restore(name: str, archived: Archived, details: Mapping[str, Any]) -> Model:
    """Read a model back that this process wrote; `trials` reads those of others.

    Raises InvalidModel as `check` does; MissingExtra without LightGBM.
    """
    return read_checked(name, check(name, archived), archived, details)


def read_checked(name: str, text: str, archived: Archived, details: Mapping[str, Any]) -> Model:
    """Read what `check` returned. Raises InvalidModel or MissingExtra."""
    lightgbm = lightgbm_or_refusal()
    try:
        booster = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise InvalidModel(name, f"cannot be read by this LightGBM ({error})") from None
    return Model(booster, present_names(archived.features["names"]), dict(details))


def read_object(name: str, text: str) -> dict[str, Any]:
    """Read what is kept beside a model; raises InvalidModel for anything but a JSON object."""
    try:
        value: Any = json.loads(text)
        # What JSON or UTF-8 does not know would be an error where it is shown.
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidModel(name, FOREIGN)
    return value


def check_told(name: str, data: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Raise InvalidModel if what is told of a model is not made as it is shown."""
    rankings = metrics.get("rankings", {})
    measured = list(rankings.values()) if isinstance(rankings, dict) else []
    parts = [data.get("sources", {}), metrics.get("verdict", {}), rankings, *measured]
    if not all(isinstance(part, dict) for part in parts):
        raise InvalidModel(name, FOREIGN)
    if not all(_is_number(value) for each in measured for value in each.values()):
        raise InvalidModel(name, FOREIGN)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < _LARGEST_SHOWN


def _has_names(features: Mapping[str, Any]) -> bool:
    names = features.get("names")
    return isinstance(names, list) and all(isinstance(each, str) for each in names)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
