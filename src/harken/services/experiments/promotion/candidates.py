"""Candidates: which model is tried next, what the gate says of it, and whether readers suffice."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from harken.errors import InvalidInput, InvalidModel, Problem
from harken.services.experiments.analysis.plan import FEWEST_READERS
from harken.services.experiments.analysis.power import days_needed
from harken.services.experiments.analysis.promotion import (
    GATE_ALPHA,
    Gate,
    gate,
    pair_preferences,
)
from harken.services.experiments.analysis.sequences import one_sided_radius
from harken.services.experiments.promotion.gate import MOST_SLATES, Progress, turned_pairs
from harken.services.experiments.promotion.plans import TrialPlan, is_retrained
from harken.services.experiments.promotion.reader_log import ReaderLog
from harken.services.registry.registry import Registry
from harken.services.registry.store import StoredModel
from harken.services.registry.training_data import TrainingRange

RECENT = timedelta(days=28)
_EVENTS = TrainingRange(measured=timedelta(), learned=timedelta(), most=0)


class Candidate(NamedTuple):
    """A model that may be tried, and the one that it would replace (None: the personal order)."""

    model: StoredModel
    serving: str | None
    is_retrained: bool


class GateAnswer(NamedTuple):
    """The answer of the gate: `slates` have swapped pairs, of which the candidate turns `pairs`.

    `days` are those until it may be known; None if that cannot be told.
    """

    gate: Gate
    slates: int
    pairs: int
    days: int | None

    def is_open_for(self, candidate: Candidate) -> bool:
        """Whether a candidate may be tried.

        A retrained model turns few pairs and need not be better: it may be tried unless it is
        proven worse.
        """
        if candidate.is_retrained:
            return self.gate.state != "failed" and self.gate.readers >= FEWEST_READERS
        return self.gate.state == "passed"

    def sentence(self) -> str:
        """Return it as a sentence."""
        if not self.slates:
            return (
                "The gate is not open: since the model's training no page has swapped pairs. "
                "Servers swap some with HARKEN_PROMOTION=trial."
            )
        low, high = self.gate.bounds
        found = (
            f"{self.gate.readers} readers saw {self.pairs} pairs that it would turn; its choices "
            f"were preferred by {self.gate.mean:+.3f} ({low:+.3f} to {high:+.3f})"
        )
        if self.gate.state == "passed":
            return f"The gate passed: {found}."
        if self.gate.state == "failed":
            return f"The gate failed, readers prefer the order as it is: {found}."
        more = "" if self.days is None else f"; about {self.days} more days"
        return f"The gate is not open yet: {found}{more}."

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return self.gate.as_json() | {
            "slates": self.slates, "pairs": self.pairs, "days": self.days,
        }  # fmt: skip


class Candidates:
    """Finds candidates, and asks the log about them."""

    def __init__(self, registry: Registry, log: ReaderLog, objectives: Mapping[str, float]) -> None:
        self._registry = registry
        self._log = log
        self._objectives = objectives

    async def find(self, model_id: str | None) -> Candidate | None:
        """Return a candidate, by default the newest model; None if that is in service.

        Raises NotFound, InvalidModel, InvalidInput if the model that is named is in service, or
        DatabaseUnavailable.
        """
        models = self._registry.models
        if model_id is None:
            listed = [each for each in await models.listed() if each.problem is None]
            model = listed[0] if listed else None
        else:
            model = await models.get(model_id)
        serving = await models.in_service()
        if model is None or model.id == serving:
            if model_id is not None:
                raise InvalidInput(Problem("id", f"{model_id} is in service; name another model"))
            return None
        await models.load(model.id)  # a model that cannot be read fails here, and not on a page
        retrained = False
        if serving is not None:
            retrained = is_retrained(model.features, (await models.get(serving)).features)
        return Candidate(model, serving, retrained)

    async def ask(
        self, candidate: Candidate, plan: TrialPlan, now: datetime, progress: Progress
    ) -> GateAnswer:
        """Return what the gate says of a candidate.

        Raises InvalidModel if it does not say until when it was trained, MissingExtra or
        DatabaseUnavailable.
        """
        since = trained_until(candidate.model)
        slates = await self._log.paired(since, MOST_SLATES)
        if not slates:
            nothing = gate(np.zeros(0), plan.readers)
            return GateAnswer(nothing, 0, 0, None)
        model = await self._registry.models.load(candidate.model.id)
        shown = {kblock_id for slate in slates for kblock_id in slate.kblock_ids}
        log = await self._registry.training_data.read(_EVENTS, shown)
        pairs = await asyncio.to_thread(
            turned_pairs, log, slates, model, self._objectives, progress
        )
        preferences = pair_preferences(*pairs)
        found = gate(preferences, plan.readers)
        days = max((now - since) / timedelta(days=1), 1.0)
        more = _days_until_known(preferences, plan.readers, days)
        return GateAnswer(found, len(slates), len(pairs.readers), more)

    async def days(self, plan: TrialPlan, now: datetime) -> tuple[int, int | None]:
        """Return how many readers a day come into a trial, and the days that it takes.

        The days are None if readers do not come fast enough to tell. Raises DatabaseUnavailable.
        """
        by_day = await self._log.readers_by_day(plan.feeds, now - RECENT, now)
        shared = np.array(by_day, np.float64) * plan.share
        seen = np.trim_zeros(shared, "f")  # a feed may have begun within these days
        if not len(seen):
            return 0, None
        needed = days_needed(seen, plan.readers, plan.window_days)
        return math.floor(seen[-1] / len(seen)), needed


def _days_until_known(preferences: Any, planned: int, days: float) -> int | None:
    """Return the days until the gate passes if all goes on as it does; None if it would not."""
    known = preferences[np.isfinite(preferences)]
    if len(known) < FEWEST_READERS or not known.mean() > 0:
        return None
    counts = len(known) * np.arange(1, 101)
    halves = one_sided_radius(counts, known.std(ddof=1) / np.sqrt(counts), GATE_ALPHA, planned)
    enough: Sequence[int] = np.flatnonzero(halves < known.mean()).tolist()
    return math.ceil(enough[0] * days) if enough else None


def trained_until(model: StoredModel) -> datetime:
    """Return the end of what a model was trained on. Raises InvalidModel if it does not say."""
    try:
        at = datetime.fromisoformat(str(model.data["until"]))
    except (KeyError, ValueError):
        raise InvalidModel(
            f"model {model.id}", "does not say on which period it was trained"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
