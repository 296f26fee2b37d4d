"""The model that a demo trains on its days, by the services and the rule of `harken train`.

A demo is short. So less is kept aside than by default, and learned from fewer choices than are
known to be enough: whether the model is any good, its measurement says.
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

WINDOW = timedelta(days=1)
WARM_UP = timedelta(days=1)
FEWEST = 200


class _Unwanted(Exception):
    """Raised where nobody waits for the model any more."""


async def train_demo_model(demo: Demo, progress: Progress = lambda _done, _total: None) -> None:
    """Train a model on what was played, and put it in service if it is better.

    Where there is none, the lesson says why. Raises DatabaseUnavailable.
    """
    if demo.state.lesson is not None:
        return
    try:
        lesson = await _train_model(demo, progress)
    except (InvalidInput, MissingExtra) as error:
        lesson = DemoModel(reason=str(error))
    await demo.learn(lesson)


async def _train_model(demo: Demo, progress: Progress) -> DemoModel:
    require_lightgbm()
    seed = demo.state.settings.seed
    settings = TrainingSettings(seed=seed, ranker=RankerSettings(seed=seed, fewest=FEWEST))
    inputs = await read_training_inputs(
        demo.service.registry, TrainingRange(WINDOW, settings.window, settings.most)
    )
    trained = await _trained(inputs, settings, progress)
    stored = await store_model(demo.service.registry, trained, inputs.serving, promote=True)
    return DemoModel(
        reason=stored.metrics["verdict"]["reason"],
        model_id=stored.id,
        examples=stored.data["examples"],
        in_service=stored.in_service,
    )


async def _trained(
    inputs: TrainingInputs, settings: TrainingSettings, progress: Progress
) -> TrainingRun:
    """Train in a thread, which ends with the wish for it."""
    is_over = threading.Event()

    def report(done: int, total: int) -> None:
        if is_over.is_set():
            raise _Unwanted
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
