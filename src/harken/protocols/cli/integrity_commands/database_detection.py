"""`harken detect` on the configured database."""

from datetime import UTC, datetime

from harken.config import Settings
from harken.domain.durations import parse_duration
from harken.errors import InvalidInput, Problem, several
from harken.protocols.cli.data_commands.logs import aware
from harken.protocols.cli.running import console, with_session_factory
from harken.services.integrity.alerts.detection import Automatic, Detection, DetectionRun
from harken.services.integrity.detectors import DetectorSettings


def detect_in_database(
    settings: DetectorSettings,
    since: datetime | None,
    last: str | None,
    *,
    store: bool,
    automatic: bool,
) -> DetectionRun:
    """Run the detectors over the configured database, and store the alerts.

    With `automatic`, what the settings allow is set aside. Raises InvalidInput or
    DatabaseUnavailable.
    """
    if since is not None and last is not None:
        raise InvalidInput(Problem("since", "give either --since or --last"))
    begin = None if since is None else aware(since)
    if last is not None:
        begin = datetime.now(UTC) - parse_duration("last", last)
    configured = Settings.load()
    allowed = Automatic(configured.quarantine_score, configured.quarantine_daily)
    return with_session_factory(
        lambda sessions: Detection(sessions).run(
            begin, settings, allowed if automatic else Automatic(), store=store
        )
    )


def print_run(run: DetectionRun) -> None:
    """Print what a run stored and did."""
    console.print(f"{several(len(run.new), 'alert')} new or open again, {run.known} known.")
    if run.aside:
        console.print(f"Set aside: {several(len(run.aside), 'reader')}.")
    if run.held_back:
        console.print(
            f"Not set aside, because HARKEN_QUARANTINE_DAILY is reached: "
            f"{several(run.held_back, 'reader')}."
        )
    if run.problem is not None:
        console.print(f"Readers were not set aside: {run.problem}", markup=False)
