"""Readiness: whether events can be recorded, answered within a deadline."""

import asyncio

from harken.errors import DatabaseUnavailable
from harken.services.record.write_probe import WriteProbe


class Readiness:
    """Runs one probe of the database at a time, and waits for it at most `seconds`."""

    def __init__(self, probe: WriteProbe, seconds: float) -> None:
        self._probe = probe
        self._seconds = seconds
        self._running: asyncio.Task[str] | None = None

    async def check(self) -> str:
        """Check that the database can be written to, and return the revision of its schema.

        Raises DatabaseUnavailable, at the latest after the deadline, or SchemaMismatch.
        """
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._probe.run(), name="harken-readiness")
            self._running.add_done_callback(_retrieve)
        running = self._running
        # The probe continues after the deadline, and the next callers wait for the same result.
        await asyncio.wait([running], timeout=self._seconds)
        if not running.done():
            raise DatabaseUnavailable(
                self._probe.outage() or f"the database does not answer within {self._seconds:g} s"
            )
        try:
            return running.result()
        except DatabaseUnavailable as error:
            raise DatabaseUnavailable(self._probe.outage() or str(error)) from error

    def close(self) -> None:
        """Cancel a running probe."""
        if self._running is not None:
            self._running.cancel()


def _retrieve(probe: "asyncio.Task[str]") -> None:
    # All callers may be gone. Then asyncio would log an exception that nobody retrieved.
    if not probe.cancelled():
        probe.exception()
