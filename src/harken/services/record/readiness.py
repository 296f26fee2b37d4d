"""Whether events can be recorded: asked for by who sends us requests, and answered in time."""

import asyncio

from harken.errors import DatabaseUnavailable
from harken.services.record.write_probe import WriteProbe


class Readiness:
    """Asks the database at most once at a time, and never waits for it longer than a deadline."""

    def __init__(self, probe: WriteProbe, seconds: float) -> None:
        self._probe = probe
        self._seconds = seconds
        self._asking: asyncio.Task[str] | None = None

    async def check(self) -> str:
        """Prove that something can be written, and return the revision of the schema.

        Raises DatabaseUnavailable, at the latest after the deadline, or SchemaMismatch.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._probe.run(), name="harken-readiness")
            self._asking.add_done_callback(_retrieve)
        asking = self._asking
        # It goes on after the deadline: those who ask next wait for the same answer.
        await asyncio.wait([asking], timeout=self._seconds)
        if not asking.done():
            raise DatabaseUnavailable(
                self._probe.outage() or f"the database does not answer within {self._seconds:g} s"
            )
        try:
            return asking.result()
        except DatabaseUnavailable as error:
            raise DatabaseUnavailable(self._probe.outage() or str(error)) from error

    def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()


def _retrieve(asked: "asyncio.Task[str]") -> None:
    # Nobody may be there any more who waits for it, and asyncio would say so in the log.
    if not asked.cancelled():
        asked.exception()
