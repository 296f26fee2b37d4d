"""A model of the learned ranking, trained on rows that an engine computes.

The model is as any other: it has fewer features, and the server computes these in its own way, from
the same definitions.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harken.services.features.names import NAMES
from harken.services.learning.engines.choices import ChoiceRange
from harken.services.learning.engines.engines import Engine
from harken.services.learning.engines.log_relations import Subjects, counting
from harken.services.learning.engines.training_rows import RELATIONAL, LogInputs, training_rows
from harken.services.learning.impressions import QUIET
from harken.services.learning.ranker import Example, Model, train
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.readers.affinities import AffinitySettings


class EventFiles(NamedTuple):
    """The log in files, and what is known besides it, as tables of pyarrow.

    files: Parquet files with the columns of the archive
    created: `kblock`, `created_at` (microseconds since 1970), where it is known
    withheld, readers, sessions: see `log_relations.Subjects`
    """

    files: Sequence[Path]
    created: Any
    withheld: Any
    readers: Any
    sessions: Any


def compute_rows(
    engine: Engine, log: EventFiles, extent: ChoiceRange, affinities: AffinitySettings
) -> Any:
    """Return the training rows of a log as a table of pyarrow, in any order."""
    subjects = Subjects(*(engine.table(each) for each in (log.withheld, log.readers, log.sessions)))
    events = counting(engine.events(log.files), subjects)
    inputs = LogInputs(events, engine.table(log.created))
    return engine.rows(training_rows(inputs, extent, affinities, engine.keep))


def fit_rows(rows: Any, settings: TrainingSettings) -> Model | None:
    """Train on the rows of `compute_rows`; None if they are too few.

    The personal score is no feature of them, so the trees grow from 0. Raises MissingExtra without
    LightGBM.
    """
    ranker = replace(settings.ranker, only=RELATIONAL, base_below=0)
    return train(examples_of(rows, settings.cold_weight), ranker)


def examples_of(rows: Any, cold_weight: float) -> list[Example]:
    """Return the examples of rows, the latest last; a feature that is no relation is NaN."""
    order = [("asked_at", "ascending"), ("request", "ascending"), ("kblock", "ascending")]
    ordered = rows.sort_by(order)
    matrix = np.full((len(ordered), len(NAMES)), np.nan, np.float32)
    for name in RELATIONAL:
        matrix[:, NAMES.index(name)] = ordered[name].to_numpy()
    at, last = ordered["asked_at"].to_numpy(), ordered["last_touch"].to_numpy()
    grades = ordered["grade"].to_numpy().astype(np.int8)
    is_cold = ordered["is_chosen"].to_numpy() & (at - last > QUIET)
    requests = ordered["request"].to_numpy()
    begins = np.flatnonzero(np.append(True, requests[1:] != requests[:-1]))[: len(requests)]
    parts = zip(begins.tolist(), [*begins[1:].tolist(), len(requests)], strict=True)
    return [
        Example(
            int(at[begin]), matrix[begin:end], grades[begin:end],
            weight=cold_weight if is_cold[begin:end].any() else 1.0,
        )
        for begin, end in parts
    ]  # fmt: skip
