"""The running experiments, in memory, so that a page needs no query.

Each process looks at the database again in the background, at most every `LOOK_SECONDS` while pages
are served. After a longer pause the first page waits for one look, so that no page is served by an
experiment that ended long ago.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from harken.errors import HarkenError, InvalidInput, Problem, quoted
from harken.services.experiments.adaptive.versions import Assigned
from harken.services.experiments.assignment import arm_of, slot
from harken.services.experiments.definitions import (
    INTERLEAVED,
    Experiment,
    Kind,
    Readers,
)
from harken.services.experiments.store import ExperimentStore
from harken.single_flight import SingleFlight

LOOK_SECONDS = 2.0
LONGEST_SECONDS = 10.0
NOT_ALONE = "its arms are assigned by the service alone, which knows who was exposed to which one"

log = logging.getLogger(__name__)


class Running:
    """The running experiments of one database; belongs to the event loop that first used it."""

    def __init__(self, store: ExperimentStore) -> None:
        self._store = store
        self._experiments: Sequence[Experiment] = ()
        self._by_feed: Mapping[str, Sequence[Experiment]] = MappingProxyType({})
        self._looked = float("-inf")
        self._changes_seen = -1
        self._looking: SingleFlight[None] = SingleFlight("harken-experiments")

    async def now(self) -> Sequence[Experiment]:
        """Return what runs, as of a few seconds ago at most. Raises DatabaseUnavailable."""
        await self._fresh()
        return self._experiments

    async def on(self, feed: str) -> Sequence[Experiment]:
        """Return what runs on a feed, as of a few seconds ago at most.

        Raises DatabaseUnavailable.
        """
        await self._fresh()
        return self._by_feed.get(feed, ())

    async def close(self) -> None:
        """Wait for a look that has begun."""
        await self._looking.close()

    async def _fresh(self) -> None:
        age = time.monotonic() - self._looked
        if age > LONGEST_SECONDS or self._store.changes != self._changes_seen:
            await self._look()
        elif age > LOOK_SECONDS and not self._looking.is_closed:
            self._looking.start(self._look_quietly)

    async def _look(self) -> None:
        began, changes = time.monotonic(), self._store.changes
        found = await self._store.running()
        by_feed: dict[str, list[Experiment]] = {}
        for each in found:
            for feed in each.definition.feeds:
                by_feed.setdefault(feed, []).append(each)
        self._experiments, self._by_feed = found, by_feed
        self._looked, self._changes_seen = began, changes

    async def _look_quietly(self) -> None:
        try:
            await self._look()
        except HarkenError as error:
            # The next page waits for a look if this one fails for longer, and tells its reader.
            log.warning("what runs could not be read, and will be read again: %s", error)


def is_in(experiment: Experiment, unit: str, *, is_guest: bool) -> bool:
    """Tell whether a unit comes into an experiment: whether it is eligible, and has its slot."""
    given = experiment.definition
    wanted = given.eligibility.readers
    if wanted is not Readers.ALL and is_guest != (wanted is Readers.GUESTS):
        return False
    first, last = given.slots
    return first <= slot(given.in_layer, unit) <= last


def forced_arm(experiment: Experiment, name: str) -> Assigned:
    """Return the arm that a tester chose; raises InvalidInput if there is none of this name."""
    names = [each.name for each in experiment.definition.arms]
    if experiment.definition.kind is Kind.INTERLEAVING:
        names.append(INTERLEAVED)
    if name not in names:
        problem = f"{quoted(name)} is no arm of {experiment.id}; arms are {', '.join(names)}"
        raise InvalidInput(Problem("arm", problem))
    return Assigned(name, experiment.shares.get(name, 1.0))


def assigned(experiment: Experiment, unit: str) -> Assigned:
    """Return a unit's arm by its hash alone; in an interleaving all have the same.

    Raises InvalidInput for an adaptive experiment: a unit keeps the arm of its first exposure, and
    only the database knows which one that was.
    """
    if experiment.is_adaptive:
        raise InvalidInput(Problem("experiment", f"{experiment.name} is adaptive; {NOT_ALONE}"))
    if experiment.definition.kind is Kind.INTERLEAVING:
        return Assigned(INTERLEAVED, 1.0)
    arm = arm_of(experiment.salt, unit, experiment.shares)
    return Assigned(arm, experiment.shares[arm])
