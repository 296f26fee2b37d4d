"""The settings of the processes that serve: their number, and how long they may take to end."""

from pydantic import Field
from pydantic_settings import BaseSettings


class ServerSettings(BaseSettings):
    """The part of the settings that says how `serve` runs."""

    workers: int = Field(
        1, ge=1, le=64, description="Processes with which `serve` answers requests."
    )
    shutdown_timeout: float = Field(
        20.0, ge=1, le=3_600, description="Seconds that a server may take to shut down."
    )
