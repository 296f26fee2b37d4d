"""Which model feeds go by: the one in service, read once and kept."""

import asyncio
import logging
import math
import time
from typing import NamedTuple

from harken.errors import InvalidModel, MissingExtra, NotFound
from harken.services.learning.ranker import Model
from harken.services.registry.store import ModelStore

MAX_AGE_SECONDS = 1.0
"""After which it is asked whether another model was put in service by another process."""
KEPT = 3
RETRY_SECONDS = 60.0
"""After which one that could not be read is read again: the machine may have been at its limit."""
NONE = "no model is in service"

log = logging.getLogger(__name__)


class Served(NamedTuple):
    """A model, or why there is none."""

    model_id: str | None
    model: Model | None
    why: str = ""


class ModelsInService:
    """Keeps the models that feeds go by; belongs to the event loop that first used it."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._in_service: str | None = None
        self._looked = float("-inf")
        self._changes_seen = -1
        self._read: dict[str, Served] = {}
        self._failed: dict[str, float] = {}  # when it was tried
        self._reading = asyncio.Lock()

    async def current(self) -> Served:
        """Return the model in service. Raises DatabaseUnavailable, and nothing for a model."""
        changes = self._store.changes
        is_old = time.monotonic() - self._looked > MAX_AGE_SECONDS
        if is_old or changes != self._changes_seen:
            began = time.monotonic()
            self._in_service = await self._store.in_service()
            self._looked, self._changes_seen = began, changes
        return await self.named(self._in_service)

    async def named(self, model_id: str | None) -> Served:
        """Return a model by its id; None is for none. Raises DatabaseUnavailable."""
        if model_id is None:
            return Served(None, None, NONE)
        if not self._is_known(model_id):
            # However many ask at once, it is read once.
            async with self._reading:
                if not self._is_known(model_id):
                    self._keep(model_id, await self._load(model_id))
        return self._read[model_id]

    def _is_known(self, model_id: str) -> bool:
        failed = self._failed.get(model_id, math.inf)
        return model_id in self._read and time.monotonic() < failed + RETRY_SECONDS

    def _keep(self, model_id: str, served: Served) -> None:
        self._read.pop(model_id, None)
        self._failed.pop(model_id, None)
        while len(self._read) >= KEPT:
            oldest = next(iter(self._read))
            del self._read[oldest]
            self._failed.pop(oldest, None)
        self._read[model_id] = served
        if served.model is None:
            self._failed[model_id] = time.monotonic()

    async def _load(self, model_id: str) -> Served:
        try:
            return Served(model_id, await self._store.load(model_id))
        except (InvalidModel, MissingExtra, NotFound) as error:
            # Readers get a feed all the same; that it is another one has to be seen by somebody.
            log.warning("the model in service cannot be used: %s", error)
            return Served(model_id, None, f"the model in service cannot be used ({error})")
