"""A model of the learned ranking, trained on rows that an engine computes, and its neighbours.

The model is as any other: it has fewer features, and the server computes these in its own way, from
the same definitions.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import narwhals as nw
import numpy as np

from harken.services.features.names import NAMES
from harken.services.learning.collaborative import Collaborative
from harken.services.learning.engines.choices import ChoiceRange
from harken.services.learning.engines.engines import Engine, failed
from harken.services.learning.engines.item_neighbours import model_of, neighbour_relations
from harken.services.learning.engines.log_relations import Frame, Subjects, counting
from harken.services.learning.engines.training_rows import RELATIONAL, LogInputs, training_rows
from harken.services.learning.event_files import EventFiles
from harken.services.learning.impressions import QUIET
from harken.services.learning.ranker import Example, Model, train
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.learning.training_plan import Bounds, Trained
from harken.services.readers.affinities import AffinitySettings


def trainer_of(
    engine: Engine, log: EventFiles, settings: TrainingSettings, affinities: AffinitySettings
) -> Callable[[Bounds], Trained | None]:
    """Return what trains a model and neighbours by an engine on what is within some bounds.

    It raises InvalidInput if the engine fails.
    """

    def trained(bounds: Bounds) -> Trained | None:
        warm_up = bounds.warm_up // timedelta(microseconds=1)
        extent = ChoiceRange(
            bounds.since, bounds.cut, bounds.most, settings.others, settings.seed, warm_up
        )
        try:
            rows = compute_rows(engine, log, extent, affinities)
            neighbours = compute_neighbours(engine, log, bounds.cut, affinities)
        except engine.failures as error:
            raise failed(engine.name, error) from error
        model = fit_rows(rows, settings)
        if model is None:
            return None
        named = replace(model, metadata={**model.metadata, "engine": engine.name})
        return Trained(named, neighbours)

    return trained


def compute_rows(
    engine: Engine, log: EventFiles, extent: ChoiceRange, affinities: AffinitySettings
) -> Any:
    """Return the training rows of a log as a table of pyarrow, in any order."""
    inputs = LogInputs(_events(engine, log), engine.table(log.created))
    return engine.rows(training_rows(inputs, extent, affinities, engine.keep))


def compute_neighbours(
    engine: Engine, log: EventFiles, until: int, affinities: AffinitySettings
) -> Collaborative | None:
    """Return the item-to-item neighbours of a log before a time (microseconds since 1970).

    None if so few K-Blocks were touched that all are candidates.
    """
    events = _events(engine, log)
    found = neighbour_relations(events, until, affinities.touches, engine.keep)
    return model_of(engine.rows(found.kblocks), engine.rows(found.nearest), engine.name)


def _events(engine: Engine, log: EventFiles) -> Frame:
    subjects = Subjects(*(engine.table(each) for each in (log.withheld, log.readers, log.sessions)))
    events = counting(engine.events(log.files), subjects)
    return events if log.since is None else events.filter(nw.col("at") >= log.since)


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
    if not len(rows):
        return []
    ordered = rows.sort_by(order)
    matrix = np.full((len(ordered), len(NAMES)), np.nan, np.float32)
    for name in RELATIONAL:
        matrix[:, NAMES.index(name)] = ordered[name].to_numpy()
    at, last = ordered["asked_at"].to_numpy(), ordered["last_touch"].to_numpy()
    grades = ordered["grade"].to_numpy().astype(np.int8)
    is_cold = ordered["is_chosen"].to_numpy() & (at - last > QUIET)
    requests = ordered["request"].to_numpy()
    begins = np.flatnonzero(np.append(True, requests[1:] != requests[:-1]))
    parts = zip(begins.tolist(), [*begins[1:].tolist(), len(requests)], strict=True)
    return [
        Example(
            int(at[begin]), matrix[begin:end], grades[begin:end],
            weight=cold_weight if is_cold[begin:end].any() else 1.0,
        )
        for begin, end in parts
    ]  # fmt: skip
