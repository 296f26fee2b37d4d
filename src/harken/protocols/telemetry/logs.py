"""The configuration of the log: uvicorn's and Harken's loggers, written by structlog.

Modules log by Python's own `logging`. Each line has its time in UTC, its level, the logger, and
within a request its `request_id` and `trace_id`. Lines of requests are those of `access_log`.
"""

from collections.abc import Mapping
from typing import Any

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from harken.protocols.telemetry.request_names import add_names
from harken.settings.telemetry import LogFormat, TelemetrySettings


def log_configuration(settings: TelemetrySettings) -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`."""
    level = settings.log_level.upper()
    own = {"handlers": ["default"], "level": level, "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "default": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _before(),
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *_written(settings.log_format),
                ],
            }
        },
        "handlers": {
            "default": {
                "class": "logging.StreamHandler",
                "formatter": "default",
                "stream": "ext://sys.stderr",
            }
        },
        "loggers": {
            "harken": own,
            # The connection pool logs each discarded connection; the outage log summarises them.
            "harken.connecting": {"level": "WARNING"},
            # FastStream logs each step of a batch; failures are logged by `deliveries`.
            "harken.protocols.stream.library": {"level": "WARNING"},
            "aiokafka": own | {"level": "CRITICAL"},
            "nats": own | {"level": "CRITICAL"},
            # What could not be sent; it repeats attempts, and says more of them than helps.
            "opentelemetry": own | {"level": "WARNING"},
            "uvicorn": own,
            "uvicorn.error": {"level": level},
        },
    }


def _before() -> list[Processor]:
    return [
        add_names,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _written(log_format: LogFormat) -> list[Processor]:
    if log_format is LogFormat.JSON:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [_line]


def _line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Write a line for people: level, text, and what names the request."""
    names = " ".join(f"{name}={event[name]}" for name in _named(event))
    line = f"{event['level'].upper() + ':':9} {event['event']}{' ' if names else ''}{names}"
    trace = structlog.processors.format_exc_info(_logger, _method, event).get("exception")
    return f"{line}\n{trace}" if trace else line


def _named(event: Mapping[str, Any]) -> list[str]:
    return [name for name in ("request_id", "trace_id") if name in event]
