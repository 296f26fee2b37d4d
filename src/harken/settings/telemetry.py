"""The settings of what a server tells about itself: metrics, logs and traces."""

from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from harken.setting_types import Share

TRACES_PATH = "/v1/traces"
"""Where a collector takes traces, by the specification of OTLP over HTTP."""


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
    traces_endpoint: str | None = Field(
        None, description="URL that takes traces by OTLP over HTTP, such as http://127.0.0.1:4318."
    )
    traces_share: Share = Field(
        0.01, description="Share of requests that are traced, where the caller does not decide."
    )

    @field_validator("traces_endpoint")
    @classmethod
    def _with_path(cls, url: str | None) -> str | None:
        if url is None or not url.strip():
            return None
        try:
            parts = urlsplit(url.strip())
            is_usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            is_usable = False
        if not is_usable:
            raise ValueError("must be a URL such as http://127.0.0.1:4318")
        if parts.username or parts.password:
            raise ValueError("must have no password; OTEL_EXPORTER_OTLP_HEADERS takes credentials")
        return parts._replace(path=parts.path.rstrip("/") or TRACES_PATH).geturl()
