"""Training runs of one database: reading the training data, and storing the trained model.

database ──▶ read_training_inputs ──▶ `harken.services.evaluation.holdout.train_and_measure`
         ──▶ store_model ──▶ registry
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

import harken
from harken.errors import InvalidModel
from harken.services.evaluation.holdout import TrainingRun, run_metrics
from harken.services.learning.ranker import Model
from harken.services.learning.training_plan import TrainingData
from harken.services.registry.registry import Registry
from harken.services.registry.store import StoredModel
from harken.services.registry.training_data import TrainingRange

NOTHING: Mapping[str, int] = MappingProxyType({})


class TrainingInputs(NamedTuple):
    """The training data, and the model in service, with which the new one is compared.

    `serving` is the id of the model in service. `problem` says why that model cannot be read; None
    if it can.
    """

    log: TrainingData
    serving: str | None
    model: Model | None
    problem: str | None


async def read_training_inputs(registry: Registry, extent: TrainingRange) -> TrainingInputs:
    """Read the inputs of a training run. Raises MissingExtra or DatabaseUnavailable."""
    serving = await registry.models.in_service()
    model, problem = None, None
    if serving is not None:
        try:
            model = await registry.models.load(serving)
        except InvalidModel as error:  # a new model can be trained nevertheless
            problem = str(error)
    return TrainingInputs(await registry.training_data.read(extent), serving, model, problem)


async def store_model(
    registry: Registry,
    trained: TrainingRun,
    serving: str | None,
    *,
    promote: bool,
    left_out: Mapping[str, int] = NOTHING,
) -> StoredModel:
    """Store a model; with `promote`, put it in service if it is better than `serving`.

    `left_out` says how much was in quarantine, and so not learned from.
    It is not put in service if another model was promoted meanwhile. Raises InvalidModel if the
    model could not be restored, or DatabaseUnavailable.
    """
    metrics = run_metrics(trained)
    metrics["in_service"] = serving
    data = {
        "from": _at(trained.begin),
        "until": _at(trained.cut),
        "measured_from": _at(trained.measured_from),
        "measured_until": _at(trained.end),
        "events": trained.found.events,
        "examples": trained.model.metadata["examples"],
        "sources": trained.model.metadata["sources"],
        "impressions": trained.found.impressions,
        "measurable": trained.measurable,
        "factored": 0 if trained.collaborative is None else len(trained.collaborative.items),
        "left_out": dict(left_out),
        "skipped": {"learned": trained.skipped[0], "measured": trained.skipped[1]},
    }
    # One transaction stores and promotes.
    model_id = await registry.models.add(
        trained.model, data, metrics, harken.__version__,
        promote=promote and trained.verdict().is_better, instead_of=serving,
        collaborative=trained.collaborative,
    )  # fmt: skip
    return await registry.models.get(model_id)


def _at(micros: int) -> str:
    at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)
    return at.isoformat().replace("+00:00", "Z")
