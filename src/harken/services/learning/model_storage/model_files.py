"""Models as files, to be carried from one database to another. Nothing in them is ever run.

A line of JSON says what is known of a model, and what its text has to be; LightGBM's own text
follows.
"""

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harken.domain.times import Time
from harken.errors import InvalidModel
from harken.services.learning.model_storage.archive import (
    FOREIGN,
    Archived,
    check_told,
    read_object,
)

MOST_BYTES = 64 << 20
"""A hundred times what a model takes."""


class CarriedModel(BaseModel):
    """A model, and what was known of it where it was trained."""

    model_config = ConfigDict(frozen=True)

    created_at: Time
    code_version: str = Field(pattern=r"^[!-~]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    features: dict[str, Any]
    data: dict[str, Any]
    metrics: dict[str, Any]
    details: dict[str, Any]
    text: str = Field(exclude=True)
    """The trees, which stand below the line of JSON."""

    @property
    def archived(self) -> Archived:
        """The part of it that is restored."""
        return Archived(self.text, self.sha256, self.features)


def write(path: Path, model: CarriedModel) -> None:
    """Write a model's file; one that is there is replaced, whole or not at all. Raises OSError."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        beside.write_text(f"{model.model_dump_json()}\n{model.text}", "utf-8", newline="\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read(path: Path) -> CarriedModel:
    """Read a model's file.

    Raises InvalidModel for one that `write` did not write, and OSError. Whether the trees are those
    that were written, and what they would do, is looked at by `archive.check`.
    """
    name = str(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InvalidModel(name, "is no file")  # a pipe may never end
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise InvalidModel(name, f"is larger than any model ({MOST_BYTES >> 20} MiB)")
    line, _, text = content.partition(b"\n")
    try:
        head = read_object(name, line.decode())
        carried = CarriedModel.model_validate(head | {"text": text.decode()})
    except (ValidationError, UnicodeDecodeError):
        raise InvalidModel(name, FOREIGN) from None
    check_told(name, carried.data, carried.metrics)
    return carried
