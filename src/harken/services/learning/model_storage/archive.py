"""Models as text: archiving a model, and checking it before it is used again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harken.errors import InvalidModel
from harken.services.learning.model_storage import text
from harken.services.learning.model_storage.additions import (
    checksum,
    described,
    read_additions,
)
from harken.services.learning.ranker import (
    FORMAT,
    Model,
    require_lightgbm,
    unknown_among,
)

FOREIGN = "is no ranker that Harken wrote"
_LARGEST_SHOWN = 1e15


@dataclass(frozen=True)
class Archived:
    """A model's text, its SHA-256 (with that of its additions), and what it needs."""

    text: str
    checksum: str
    features: Mapping[str, Any]


def archive(model: Model) -> Archived:
    """Return a model as text. Raises InvalidModel if the text could not be restored."""
    text: str = model.booster.model_to_string()
    features = described(model)
    archived = Archived(text, checksum(text, features), features)
    check("the model", archived)
    return archived


def check(name: str, archived: Archived) -> str:
    """Return the text that LightGBM may read; `name` is the model's name in errors.

    LightGBM is not called, since an invalid text may crash the process. Raises InvalidModel if
    `archive` did not write the text, if it was changed since, or if it was trained on other
    features than those of this version.
    """
    if archived.features.get("format") != FORMAT or not _has_names(archived.features):
        raise InvalidModel(name, FOREIGN)
    read_additions(name, archived.features)
    if checksum(archived.text, archived.features) != archived.checksum:
        raise InvalidModel(name, "was cut off or changed since it was written")
    names = tuple(archived.features["names"])
    if unknown := unknown_among(names):
        some = ", ".join(f"{each:.64}" for each in unknown[:5])
        raise InvalidModel(name, f"needs features that there are not: {some}")
    found = text.read(name, archived.text)
    if found.names != names:
        raise InvalidModel(name, "has other features than it says")
    return text.write(found)


def restore(name: str, archived: Archived, details: Mapping[str, Any]) -> Model:
    """Restore a model that this process archived; `trials` restores those of others.

    Raises InvalidModel as `check` does, and MissingExtra without LightGBM.
    """
    return read_checked(name, check(name, archived), archived, details)


def read_checked(name: str, text: str, archived: Archived, details: Mapping[str, Any]) -> Model:
    """Restore a model from the text that `check` returned. Raises InvalidModel or MissingExtra."""
    lightgbm = require_lightgbm()
    try:
        booster = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise InvalidModel(name, f"cannot be read by this LightGBM ({error})") from None
    base, heads = read_additions(name, archived.features)
    return Model(booster, tuple(archived.features["names"]), dict(details), base, heads)


def read_object(name: str, text: str) -> dict[str, Any]:
    """Parse a model's metadata; raises InvalidModel for anything but a JSON object."""
    try:
        value: Any = json.loads(text)
        # NaN and lone surrogates would fail later, when the model is shown.
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidModel(name, FOREIGN)
    return value


def check_metadata(name: str, data: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Raise InvalidModel if a model's metadata cannot be shown."""
    rankings = metrics.get("rankings", {})
    measured = list(rankings.values()) if isinstance(rankings, dict) else []
    parts = [data.get("sources", {}), metrics.get("verdict", {}), rankings, *measured]
    if not all(isinstance(part, dict) for part in parts):
        raise InvalidModel(name, FOREIGN)
    if not all(_has_figures(each) for each in measured):
        raise InvalidModel(name, FOREIGN)
    objectives = metrics.get("objectives", {})
    if not isinstance(objectives, dict) or not all(map(_is_calibration, objectives.values())):
        raise InvalidModel(name, FOREIGN)


def _is_calibration(measured: Any) -> bool:
    """Tell whether this is the calibration of a head, or a problem in its place."""
    if not isinstance(measured, dict):
        return False
    problem = measured.get("problem")
    rest = {key: value for key, value in measured.items() if key != "problem"}
    return (problem is None or isinstance(problem, str)) and _has_figures(rest)


def _has_figures(measured: Any) -> bool:
    """Tell whether something measured is a number or none, or lists and objects of these."""
    if isinstance(measured, dict):
        return all(map(_has_figures, measured.values()))
    if isinstance(measured, list):
        return all(map(_has_figures, measured))
    if measured is None:
        return True
    return isinstance(measured, int | float) and abs(measured) < _LARGEST_SHOWN


def _has_names(features: Mapping[str, Any]) -> bool:
    names = features.get("names")
    return isinstance(names, list) and all(isinstance(each, str) for each in names)
