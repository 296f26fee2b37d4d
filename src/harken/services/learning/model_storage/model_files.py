"""Model files, which move a model from one database to another. Nothing in them is executed.

The first line is JSON: the model's metadata and the checksum of its text. LightGBM's text follows.
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
    check_metadata,
    read_object,
)

MOST_BYTES = 64 << 20
"""About a hundred times the size of a usual model."""


class PortableModel(BaseModel):
    """A model with its metadata from the database where it was trained."""

    model_config = ConfigDict(frozen=True)

    created_at: Time
    code_version: str = Field(pattern=r"^[!-~]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    features: dict[str, Any]
    data: dict[str, Any]
    metrics: dict[str, Any]
    details: dict[str, Any]
    text: str = Field(exclude=True)
    """The trees as LightGBM's text; it follows the line of JSON."""

    @property
    def archived(self) -> Archived:
        """The part from which the model is restored."""
        return Archived(self.text, self.sha256, self.features)


def write(path: Path, model: PortableModel) -> None:
    """Write a model's file, replacing an existing one atomically. Raises OSError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        partial.write_text(f"{model.model_dump_json()}\n{model.text}", "utf-8", newline="\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> PortableModel:
    """Read a model's file.

    Raises InvalidModel if `write` did not write it, and OSError. The trees are not checked here:
    `archive.check` compares the checksum and reads them.
    """
    name = str(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InvalidModel(name, "is not a file")  # a pipe may never end
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise InvalidModel(name, f"is larger than any model ({MOST_BYTES >> 20} MiB)")
    line, _, text = content.partition(b"\n")
    try:
        head = read_object(name, line.decode())
        carried = PortableModel.model_validate(head | {"text": text.decode()})
    except (ValidationError, UnicodeDecodeError):
        raise InvalidModel(name, FOREIGN) from None
    check_metadata(name, carried.data, carried.metrics)
    return carried
