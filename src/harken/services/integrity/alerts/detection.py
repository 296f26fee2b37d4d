"""One run of the detectors over a database: read, detect, store, and act if that is allowed.

A run sets nobody aside unless the settings give a least score. If they do, it sets aside the
readers of open alerts with at least that score, the highest score first, up to a number of readers
a day. The audit names the alert.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from harken.database import Database
from harken.domain.feedback import GUEST
from harken.domain.times import micros
from harken.errors import InvalidInput, NotFound
from harken.services.integrity.alerts.alert_store import MOST_LISTED, AlertState, AlertStore
from harken.services.integrity.alerts.stored_log import read_log
from harken.services.integrity.detectors import DetectorSettings, Findings, run_detectors
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.record.admission.quarantines import Target

AUTOMATIC = "automatic"
"""The name in the audit for acts of scheduled detection."""


class Automatic(NamedTuple):
    """The limits of acting without a person: the least score of alerts, and readers per day."""

    score: float | None = None
    daily: int = 0


class DetectionRun(NamedTuple):
    """The result of a run: ids of new alerts, how many were known, readers set aside."""

    findings: Findings
    new: Sequence[str]
    known: int
    aside: Sequence[str] = ()
    held_back: int = 0
    """How many readers were not set aside because of the daily cap."""
    problem: str | None = None
    """Why readers that the settings allow to set aside were not."""


class Detection:
    """Runs detectors over one database."""

    def __init__(
        self, session_factory: async_sessionmaker[AsyncSession], *, schema: str | None = None
    ) -> None:
        """Use a given session factory; `schema` as in `FeedFeedbackPersistence`."""
        database = Database(session_factory, schema)
        self._database = database
        self.alerts = AlertStore(database)
        self.quarantine = Quarantine(session_factory, schema=schema)

    async def run(
        self,
        since: datetime | None = None,
        settings: DetectorSettings | None = None,
        automatic: Automatic = Automatic(),  # noqa: B008 — immutable
        *,
        store: bool = True,
    ) -> DetectionRun:
        """Look at what happened since a time, or at the whole log; store what is found.

        What happened before is read as history. Without `store`, nothing is written. Raises
        DatabaseUnavailable.
        """
        settings = settings or DetectorSettings()
        if since is not None:
            settings = replace(settings, since=micros(since))
        stored = await read_log(self._database, since)
        found = await asyncio.to_thread(run_detectors, stored.log, stored.slates, settings)
        if not store:
            return DetectionRun(found, (), 0)
        new, known = await self.alerts.put(found.alerts)
        run = DetectionRun(found, new, known)
        return run if automatic.score is None else await self._act(run, automatic)

    async def _act(self, run: DetectionRun, automatic: Automatic) -> DetectionRun:
        """Set aside the readers of open alerts with at least the score, up to the daily cap."""
        assert automatic.score is not None  # noqa: S101 — for the type checker
        left = automatic.daily - await self.quarantine.audit.count_by(AUTOMATIC)
        aside: list[str] = []
        held_back = 0
        alerts, _ = await self.alerts.listed(AlertState.OPEN, limit=MOST_LISTED)
        for each in alerts:
            if each.score < automatic.score:
                break
            members = (await self.alerts.get(each.alert_id)).members
            wanted = [name for name in members if name != GUEST and name not in aside]
            if not wanted:
                continue
            if len(wanted) > left:  # all or none: the rest of a ring would raise another alert
                held_back += len(wanted)
                continue
            decision = Decision(AUTOMATIC, f"{each.detector}: {each.words}"[:500], each.alert_id)
            try:
                outcome = await self.quarantine.add(Target.READER, wanted, decision)
            except (InvalidInput, NotFound) as error:
                return run._replace(aside=aside, held_back=held_back, problem=str(error))
            aside += outcome.changed
            left -= len(outcome.changed)
        return run._replace(aside=aside, held_back=held_back)
