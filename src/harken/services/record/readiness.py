"""Readiness: whether events can be recorded, answered within a deadline."""

from harken.errors import DatabaseUnavailable
from harken.services.record.write_probe import WriteProbe
from harken.single_flight import SingleFlight


class Readiness:
    """Runs one probe of the database at a time, and waits for it at most `seconds`."""

    def __init__(self, probe: WriteProbe, seconds: float) -> None:
        self._probe = probe
        self._seconds = seconds
        self._probing: SingleFlight[str] = SingleFlight("harken-readiness")

    async def check(self) -> str:
        """Check that the database can be written to, and return the revision of its schema.

        Raises DatabaseUnavailable, at the latest after the deadline, SchemaMismatch, or Closed.
        """
        probe = self._probing.start(self._probe.run)
        try:
            # The probe continues after the deadline, and the next callers wait for the same result.
            is_done = await self._probing.finish(probe, self._seconds)
        except DatabaseUnavailable as error:
            raise DatabaseUnavailable(self._probe.outage() or str(error)) from error
        if not is_done:
            raise DatabaseUnavailable(
                self._probe.outage() or f"the database does not answer within {self._seconds:g} s"
            )
        return probe.result()

    def close(self) -> None:
        """Cancel a running probe."""
        self._probing.stop()
