"""Whether this process makes traces; imports OpenTelemetry's SDK only if it does."""

import logging
import os
from typing import TYPE_CHECKING

from harken.errors import MissingExtra
from harken.settings.telemetry import TelemetrySettings

if TYPE_CHECKING:
    from harken.protocols.telemetry.traces import Traces

log = logging.getLogger(__name__)

EXTRA = "traces"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def traces_of(settings: TelemetrySettings) -> "Traces | None":
    """Return the traces that the settings or OpenTelemetry's own variables ask for.

    Raises MissingExtra if HARKEN_TRACES_ENDPOINT is set. Variables of OpenTelemetry may be meant
    for other programs of the machine, so without the extra they cause a warning only.
    """
    asked = settings.traces_endpoint or next(filter(os.environ.get, ENDPOINTS), None)
    if asked is None or _is_disabled():
        return None
    try:
        from harken.protocols.telemetry.traces import Traces  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(("opentelemetry", "google")):
            raise
        missing = MissingExtra("HARKEN_TRACES_ENDPOINT", EXTRA)
        if settings.traces_endpoint:
            raise missing from None
        log.warning("%s is set, but no traces are sent: %s", asked, missing)
        return None
    return Traces(settings)


def _is_disabled() -> bool:
    return (
        os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        or os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    )
