"""One run of the detectors over a database: read, detect, store, and act if that is allowed.

Nothing is set aside by itself unless a least score is set. Then at most so many readers a day are,
those of the greatest score first, each with the alert that accuses them in the audit.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from harken.database import Database
from harken.domain.feedback import GUEST
from harken.errors import InvalidInput, NotFound
from harken.services.integrity.alerts.alert_store import AlertState, AlertStore
from harken.services.integrity.alerts.stored_log import read_log
from harken.services.integrity.detectors import DetectorSettings, Findings, run_detectors
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.record.admission.quarantines import Target

AUTOMATIC = "automatic"
"""Who acted, in the audit, if no person did."""
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Automatic(NamedTuple):
    """What a run may set aside by itself: the least score of alerts, and readers per day."""

    score: float | None = None
    daily: int = 0


class DetectionRun(NamedTuple):
    """What a run found and did: ids of new alerts, how many were known, readers set aside."""

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
            micros = round((since - _EPOCH).total_seconds() * 1e6)
            settings = DetectorSettings(
                settings.alarms_per_reader_week, settings.alarms_per_series_week, micros,
                settings.seed, settings.most_pairs,
            )  # fmt: skip
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
        alerts, _ = await self.alerts.listed(AlertState.OPEN, limit=1_000)
        for each in alerts:
            if each.score < automatic.score:
                break
            members = (await self.alerts.get(each.alert_id)).members
            wanted = [name for name in members if name != GUEST and name not in aside]
            if not wanted:
                continue
            if len(wanted) > left:  # a part of a ring would be found again with other evidence
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
