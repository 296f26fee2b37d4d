"""Models as files, to be carried from one database to another. Nothing in them is ever run.

A line of JSON says what is known of a model, and what its text has to be; LightGBM's own text
follows.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, ValidationError

from harken.errors import InvalidModel
from harken.services.learning.archive import FOREIGN, Archived, check_told

MOST_BYTES = 64 << 20
"""A hundred times what a model takes."""


class CarriedModel(NamedTuple):
    """A model, and what was known of it where it was trained."""

    archived: Archived
    created_at: datetime
    code_version: str
    data: dict[str, Any]
    metrics: dict[str, Any]
    details: dict[str, Any]


class _Head(BaseModel):
    created_at: AwareDatetime
    code_version: str
    sha256: str
    features: dict[str, Any]
    data: dict[str, Any]
    metrics: dict[str, Any]
    details: dict[str, Any]


def write(path: Path, model: CarriedModel) -> None:
    """Write a model's file; one that is there is replaced, whole or not at all. Raises OSError."""
    archived, *told = model
    head = dict(zip(model._fields[1:], told, strict=True)) | {
        "created_at": model.created_at.astimezone(UTC).isoformat(),
        "sha256": archived.checksum,
        "features": dict(archived.features),
    }
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        beside.write_text(f"{json.dumps(head)}\n{archived.text}", "utf-8", newline="\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read(path: Path) -> CarriedModel:
    """Read a model's file.

    Raises InvalidModel for one that `write` did not write, and OSError. Whether the trees are those
    that were written is looked at by `archive.restore`.
    """
    name = str(path)
    if path.stat().st_size > MOST_BYTES:
        raise InvalidModel(name, f"is larger than any model ({MOST_BYTES >> 20} MiB)")
    line, _, text = path.read_bytes().partition(b"\n")
    try:
        head = _Head.model_validate_json(line)
        archived = Archived(text.decode(), head.sha256, head.features)
    except (ValidationError, UnicodeDecodeError):
        raise InvalidModel(name, FOREIGN) from None
    check_told(name, head.data, head.metrics)
    return CarriedModel(
        archived, head.created_at, head.code_version, head.data, head.metrics, head.details
    )
