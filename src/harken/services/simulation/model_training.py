"""Trains a demo's model on its simulated days, like `harken train`, and lets the truth decide.

A demo is short, so it holds out less than the default. `harken train --promote` decides by the
held-out end of the log. In a demo that would be unfair: its readers mostly saw, and chose, what the
personal order put first. But a demo knows what its readers like. So the model is put in service if
it is better by that, and by more than chance explains.
"""

import asyncio
import threading
from datetime import timedelta
from functools import partial

from harken.errors import InvalidInput, MissingExtra
from harken.services.evaluation.holdout import TrainingRun, train_and_measure
from harken.services.evaluation.replay import Progress
from harken.services.learning.ranker import RankerSettings, require_lightgbm
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.registry.training import TrainingInputs, read_training_inputs, store_model
from harken.services.registry.training_data import TrainingRange
from harken.services.simulation.demo import Demo, DemoModel
from harken.services.simulation.ground_truth import outcome

WINDOW = timedelta(days=1)
WARM_UP = timedelta(days=1)
FEWEST = RankerSettings.fewest


class _Cancelled(Exception):
    """Raised in the training thread when the task that waits for it was cancelled."""


async def train_demo_model(demo: Demo, progress: Progress = lambda _done, _total: None) -> None:
    """Train a model on the simulated days, and put it in service if it is better by the truth.

    If no model can be trained, the demo's state says why. Raises DatabaseUnavailable.
    """
    if demo.state.lesson is not None:
        return
    try:
        lesson = await _train_model(demo, progress)
    except (InvalidInput, MissingExtra) as error:
        lesson = DemoModel(reason=str(error))
    await demo.set_model(lesson)


async def _train_model(demo: Demo, progress: Progress) -> DemoModel:
    require_lightgbm()
    seed = demo.state.settings.seed
    settings = TrainingSettings(seed=seed, ranker=RankerSettings(seed=seed, fewest=FEWEST))
    inputs = await read_training_inputs(
        demo.service.registry, TrainingRange(WINDOW, settings.window, settings.most)
    )
    trained = await _trained(inputs, settings, progress)
    registry = demo.service.registry
    stored = await store_model(
        registry, trained, inputs.serving, promote=False, left_out=inputs.log.left_out
    )
    by_truth = outcome(await demo.measure_model(stored.id))
    if by_truth == "better":
        await registry.models.promote(stored.id)
    return DemoModel(
        reason=stored.metrics["verdict"]["reason"],
        model_id=stored.id,
        examples=stored.data["examples"],
        in_service=by_truth == "better",
        by_truth=by_truth,
    )


async def _trained(
    inputs: TrainingInputs, settings: TrainingSettings, progress: Progress
) -> TrainingRun:
    """Train in a thread, which ends early if this task is cancelled."""
    is_over = threading.Event()

    def report(done: int, total: int) -> None:
        if is_over.is_set():
            raise _Cancelled
        progress(done, total)

    log = inputs.log
    train = partial(
        train_and_measure, log.events, settings, WINDOW, inputs.model, report,
        slates=log.slates, descriptions=log.descriptions, warm_up=WARM_UP,
    )  # fmt: skip
    try:
        return await asyncio.to_thread(train)
    finally:
        is_over.set()
