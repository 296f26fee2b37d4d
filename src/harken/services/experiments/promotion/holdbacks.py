"""Holdbacks: after a promotion 5 % of the readers stay on the old model, and can bring it back."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from harken.errors import InvalidInput
from harken.services.experiments.definitions import Experiment, State
from harken.services.experiments.promotion.measuring import HoldbackState, measure_holdback
from harken.services.experiments.promotion.plans import (
    HOLDBACK,
    NEW,
    OLD,
    candidate_of,
    holdback_of,
    replaced_model,
)
from harken.services.experiments.promotion.reader_log import ReaderLog
from harken.services.experiments.service import Experiments
from harken.services.registry.registry import Registry

Say = Callable[[str], None]


class Holdbacks:
    """The holdbacks of one database; each lasts at most for `retention`."""

    def __init__(
        self, registry: Registry, experiments: Experiments, log: ReaderLog,
        retention: timedelta, clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._registry = registry
        self._experiments = experiments
        self._log = log
        self._retention = retention
        self._clock = clock

    async def hold_back(self, trial: Experiment, say: Say) -> None:
        """Begin the holdback of a trial whose candidate was promoted; an earlier one ends.

        Raises DatabaseUnavailable.
        """
        for each in await self._open():
            if each.state is State.RUNNING:
                await self._experiments.stop(each.id, "another model was promoted")
            await self._experiments.decide(each.id, NEW, "Another model was promoted.")
        try:
            created = await self._experiments.create(holdback_of(trial))
            await self._experiments.start(created.id)
        except InvalidInput as error:
            say(f"There is no holdback: {error}.")
            return
        say(f"5 % of the readers stay on the old model: {created.name}.")

    async def look(self, say: Say) -> list[dict[str, Any]]:
        """Look at the holdbacks that run; returns what they found, as JSON values.

        Raises DatabaseUnavailable.
        """
        found = []
        for each in await self._open():
            if each.state is State.STOPPED:
                note = f"The holdback stopped: {each.stop_reason or 'by hand'}."
                await self._experiments.decide(each.id, NEW, note)
                say(note)
                continue
            log = await self._log.of_experiment(each)
            now = self._clock().timestamp()
            state = await asyncio.to_thread(measure_holdback, each, log, now)
            found.append({"id": each.id, **state.results.as_json()})
            await self._decide(each, state, say)
        return found

    async def _open(self) -> list[Experiment]:
        listed = await self._experiments.store.listed()
        unfinished = {State.RUNNING, State.STOPPED}
        return [
            each for each in listed if each.id.startswith(HOLDBACK) and each.state in unfinished
        ]

    async def _decide(self, holdback: Experiment, state: HoldbackState, say: Say) -> None:
        new, old = candidate_of(holdback), replaced_model(holdback)
        named = old or "the personal order"
        if await self._registry.models.in_service() != new:
            await self._end(holdback, NEW, f"{new} is no longer in service.", say)
        elif state.brings_back:
            await self._bring_back(old)
            text = state.results.verdicts[NEW].text
            await self._end(holdback, OLD, f"{named} is in service again. {text}", say)
        elif self._is_over(holdback, state):
            await self._end(holdback, NEW, f"{new} stays: it is not proven worse.", say)
        else:
            alarm = " Its readers are not in the planned shares." if state.is_alarmed else ""
            say(f"The holdback of {new} goes on.{alarm} {state.results.verdicts[NEW].text}")

    async def _bring_back(self, old: str | None) -> None:
        _, now = await self._registry.models.rollback()
        if old is not None and now != old:
            await self._registry.models.promote(old, instead_of=now)

    def _is_over(self, holdback: Experiment, state: HoldbackState) -> bool:
        [found, *_] = state.results.comparisons
        began = holdback.started_at or holdback.created_at
        is_old = self._clock() - began >= self._retention
        return is_old or found.effect.readers >= holdback.definition.planned_size

    async def _end(self, holdback: Experiment, arm: str, note: str, say: Say) -> None:
        await self._experiments.stop(holdback.id, note)
        await self._experiments.decide(holdback.id, arm, note)
        say(f"The holdback of {candidate_of(holdback)} is over. {note}")
