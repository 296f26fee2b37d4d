"""The settings of retention: how much of the log is kept, and where old events go."""

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

LEAST_DAYS = 7


class RetentionSettings(BaseSettings):
    """The part of the settings that says how much of the log is kept."""

    log_days: int | None = Field(
        None,
        ge=LEAST_DAYS,
        le=36_500,
        description="Days of the log that `serve` keeps; older events go to files. Empty: all.",
    )
    archive_dir: Path = Field(
        Path("harken-archive"), description="Folder of the files with events that left the log."
    )

    @field_validator("log_days", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value
