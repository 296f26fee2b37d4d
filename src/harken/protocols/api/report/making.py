"""Making a report for a request.

A report of models replays the log, which may take minutes of computing; so `harken report` makes
it, in a process of its own and at low priority. Without a model there are counts only.
"""

import logging
from datetime import UTC, datetime, timedelta

import harken
from harken.child_processes import HARKEN, run_child
from harken.config import Settings
from harken.errors import Unavailable
from harken.services.feed.service import FeedService
from harken.services.registry.reporting import write_report

log = logging.getLogger(__name__)


class Busy(Unavailable):
    """A report is being made already."""

    retry_after = 10


LEASE_NAME = "report"
LEASE = timedelta(minutes=2)
BUSY = "a report is being made already; try again in some seconds"


class ReportMaker:
    """Makes reports of the configured database; a lease lets one process make one at a time."""

    def __init__(self) -> None:
        self._is_busy = False

    async def __call__(self, service: FeedService) -> None:
        """Return when a report is made and stored. Raises Busy, or Unavailable if it failed."""
        if self._is_busy:
            raise Busy(BUSY)
        self._is_busy = True
        try:
            async with service.registry.leases.held(LEASE_NAME, LEASE) as is_ours:
                if not is_ours:
                    raise Busy(BUSY)
                await _make(service)
        finally:
            self._is_busy = False


async def _make(service: FeedService) -> None:
    if await service.registry.models.promotions():
        await run_report()
    else:
        await write_report(service.registry, datetime.now(UTC), harken.__version__)


async def run_report() -> None:
    """Run `harken report` to its end. Raises Unavailable if it fails."""
    try:
        ended = await run_child((*HARKEN, "report", "--json"), lambda _line: None)
    except OSError as error:
        raise Unavailable(f"the report cannot be started ({error.strerror})") from error
    if ended.code:
        log.warning("A report failed with exit code %d: %s", ended.code, _plain(ended.last_line))
        raise Unavailable("the report failed; the log of the server says why")


def _plain(line: str) -> str:
    for secret in Settings.load().secrets:
        line = line.replace(secret, "…")
    return line
