"""`harken train --engine`: what computes the training rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import typer

from harken.errors import InvalidInput, MissingExtra, Problem
from harken.protocols.cli.running import with_feeds
from harken.services.evaluation.holdout import Trainer
from harken.services.learning.engines import LOCAL_CLUSTER
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.readers.affinities import AffinitySettings


class EngineName(StrEnum):
    """What computes the training rows: this process event by event, or an engine by relations."""

    HERE = "here"
    POLARS = "polars"
    DUCKDB = "duckdb"
    SPARK = "spark"


EngineOption = Annotated[
    EngineName,
    typer.Option(
        help="What computes the training rows. Without it, this process does; an engine also reads "
        "the archive, and computes the features that are relations."
    ),
]
MasterOption = Annotated[
    str,
    typer.Option(
        metavar="URL",
        help="Spark's master, such as spark://host:7077. The default is two executors here.",
    ),
]
WorkOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where an engine keeps its files while it works. With Spark on several machines, all "
        "of them must see it. The default is a temporary folder.",
    ),
]


class EngineChoice(NamedTuple):
    """An engine, and where it works."""

    name: EngineName = EngineName.HERE
    master: str = LOCAL_CLUSTER
    work: Path | None = None


@contextmanager
def trainer(
    choice: EngineChoice,
    since: datetime | None,
    settings: TrainingSettings,
    affinities: AffinitySettings,
) -> Iterator[Trainer | None]:
    """Give what trains by an engine, None for this process; its files are deleted afterwards.

    Raises MissingExtra without the engine, and InvalidInput if the work folder cannot be written.
    """
    if choice.name is not EngineName.SPARK and choice.master != LOCAL_CLUSTER:
        raise InvalidInput(Problem("--master", "is for --engine spark"))
    if choice.name is EngineName.HERE:
        yield None
        return
    if find_spec("narwhals") is None:
        raise MissingExtra("--engine", "engines")
    # These import narwhals, which comes with an extra.
    from harken.services.learning.engines.engines import engine_of  # noqa: PLC0415
    from harken.services.learning.engines.training import trainer_of  # noqa: PLC0415

    try:
        folder = TemporaryDirectory(prefix="harken-train-", dir=choice.work)
    except OSError as error:
        raise InvalidInput(Problem("--work", f"{choice.work}: {error.strerror}")) from None
    with folder as own, engine_of(choice.name, Path(own), choice.master) as engine:
        path = Path(own).absolute()
        log = with_feeds(lambda service: service.registry.event_files.write(path, since))
        yield trainer_of(engine, log, settings, affinities)
