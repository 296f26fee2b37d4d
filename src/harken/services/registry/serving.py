"""Model serving: loads the model in service once and caches it."""

import asyncio
import logging
import math
import time
from typing import NamedTuple

from harken.errors import InvalidModel, MissingExtra, NotFound
from harken.services.learning.collaborative import Collaborative
from harken.services.learning.ranker import Model
from harken.services.registry.store import ModelStore

MAX_AGE_SECONDS = 1.0
"""How old the knowledge of the model in service may be; other processes may change it."""
KEPT = 3
RETRY_SECONDS = 60.0
"""When to retry a model that could not be loaded: the cause may have been temporary."""
NO_MODEL = "no trained model is in service yet"

log = logging.getLogger(__name__)


class LoadedModel(NamedTuple):
    """A loaded model, or the reason why there is none.

    `is_temporary` says that the model may be there at the next attempt.
    """

    model_id: str | None
    model: Model | None
    reason: str = ""
    is_temporary: bool = False


class ModelsInService:
    """Caches the models in service; belongs to the event loop that first used it."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._in_service: str | None = None
        self._looked = float("-inf")
        self._changes_seen = -1
        self._read: dict[str, LoadedModel] = {}
        self._failed: dict[str, float] = {}  # monotonic time of the attempt, in seconds
        self._reading = asyncio.Lock()
        self._collaborative: dict[str, Collaborative | None] = {}

    async def collaborative(self, model_id: str | None = None) -> Collaborative | None:
        """Return the collaborative model of a model, by default of that in service.

        None stands for none, and for one that cannot be read. Raises DatabaseUnavailable.
        """
        if model_id is None:
            model_id = await self._id_in_service()
        if model_id is None:
            return None
        if model_id not in self._collaborative:
            async with self._reading:
                if model_id not in self._collaborative:
                    found = await self._load_collaborative(model_id)
                    while len(self._collaborative) >= KEPT:
                        del self._collaborative[next(iter(self._collaborative))]
                    self._collaborative[model_id] = found
        return self._collaborative.get(model_id)

    async def _load_collaborative(self, model_id: str) -> Collaborative | None:
        try:
            return await self._store.collaborative(model_id)
        except InvalidModel as error:  # the other candidate sources do without them
            log.warning("the model in service gives no candidates of its own: %s", error)
            return None

    async def current(self) -> LoadedModel:
        """Return the model in service, or the reason for none. Raises DatabaseUnavailable."""
        return await self.named(await self._id_in_service())

    async def _id_in_service(self) -> str | None:
        changes = self._store.changes
        is_old = time.monotonic() - self._looked > MAX_AGE_SECONDS
        if is_old or changes != self._changes_seen:
            began = time.monotonic()
            self._in_service = await self._store.in_service()
            self._looked, self._changes_seen = began, changes
        return self._in_service

    async def named(self, model_id: str | None) -> LoadedModel:
        """Return a model by its id, or the reason for none. Raises DatabaseUnavailable."""
        if model_id is None:
            return LoadedModel(None, None, NO_MODEL)
        if not self._is_known(model_id):
            # The lock makes concurrent requests load a model only once.
            async with self._reading:
                if not self._is_known(model_id):
                    self._keep(model_id, await self._load(model_id))
        return self._read[model_id]

    def _is_known(self, model_id: str) -> bool:
        failed = self._failed.get(model_id, math.inf)
        return model_id in self._read and time.monotonic() < failed + RETRY_SECONDS

    def _keep(self, model_id: str, served: LoadedModel) -> None:
        self._read.pop(model_id, None)
        self._failed.pop(model_id, None)
        while len(self._read) >= KEPT:
            oldest = next(iter(self._read))
            del self._read[oldest]
            self._failed.pop(oldest, None)
        self._read[model_id] = served
        if served.model is None:
            self._failed[model_id] = time.monotonic()

    async def _load(self, model_id: str) -> LoadedModel:
        try:
            return LoadedModel(model_id, await self._store.load(model_id))
        except (InvalidModel, MissingExtra, NotFound) as error:
            # Readers still get a feed, in the personal order; the log tells the operator why.
            log.warning("the model in service cannot be used: %s", error)
            reason = f"the model in service cannot be used ({error})"
            is_temporary = isinstance(error, InvalidModel) and error.is_temporary
            return LoadedModel(model_id, None, reason, is_temporary)
