"""Models of one database: read what there is to learn from, and keep what was learned.

history ──▶ read ──▶ `harken.services.evaluation.holdout.train_on` ──▶ keep ──▶ registry
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import harken
from harken.errors import InvalidModel
from harken.services.evaluation.holdout import Trained, described
from harken.services.learning.ranker import Model
from harken.services.learning.training_plan import TrainingLog
from harken.services.registry.registry import Registry
from harken.services.registry.store import StoredModel
from harken.services.registry.training_data import Extent


class TrainingMaterial(NamedTuple):
    """What a model is made of: the log, and the model in service, to compare it with.

    `problem` says why the one in service cannot be read, if it cannot.
    """

    log: TrainingLog
    serving: str | None
    model: Model | None
    problem: str | None


async def read(registry: Registry, extent: Extent) -> TrainingMaterial:
    """Read what a model is made of. Raises MissingExtra or DatabaseUnavailable."""
    serving = await registry.models.in_service()
    model, problem = None, None
    if serving is not None:
        try:
            model = await registry.models.load(serving)
        except InvalidModel as error:  # which is no reason not to train another
            problem = str(error)
    return TrainingMaterial(await registry.training_data.read(extent), serving, model, problem)


async def keep(
    registry: Registry, trained: Trained, serving: str | None, *, promote: bool
) -> StoredModel:
    """Write a model down; with `promote` it is put in service if it is better than `serving`.

    That it has to replace still: it is not put in service if somebody promoted another one
    meanwhile. Raises DatabaseUnavailable.
    """
    metrics = described(trained)
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
        "skipped": {"learned": trained.skipped[0], "measured": trained.skipped[1]},
    }
    # In one transaction.
    model_id = await registry.models.add(
        trained.model, data, metrics, harken.__version__,
        promote=promote and trained.verdict().is_better, instead_of=serving,
    )  # fmt: skip
    return await registry.models.get(model_id)


def _at(micros: int) -> str:
    at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)
    return at.isoformat().replace("+00:00", "Z")
