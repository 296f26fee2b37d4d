"""The settings of what a server tells about itself: metrics and logs."""

from enum import StrEnum

from pydantic import Field
from pydantic_settings import BaseSettings


class LogFormat(StrEnum):
    """How a line of the log is written."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least severity that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class TelemetrySettings(BaseSettings):
    """The part of the settings that says what a server tells about itself."""

    metrics: bool = Field(
        False, description="Whether `serve` answers GET /metrics, in the format of Prometheus."
    )
    log_format: LogFormat = Field(
        LogFormat.CONSOLE, description="How `serve` writes its log: console, or json."
    )
    log_level: LogLevel = Field(
        LogLevel.INFO, description="The least severity that `serve` logs: debug to error."
    )
    access_log: bool = Field(False, description="Whether `serve` logs every request.")
