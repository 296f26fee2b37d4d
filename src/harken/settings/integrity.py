"""The settings of integrity: when detectors run, and who is set aside without asking."""

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from harken.settings.parsing import Period


class IntegritySettings(BaseSettings):
    """The settings of detectors and quarantine, a part of `harken.config.Settings`."""

    detect_every: Period = Field(
        None, description="How often `serve` looks for readers who are not people: 1h."
    )
    quarantine_score: float | None = Field(
        None,
        ge=0,
        le=1,
        description="The least score of alerts whose readers are set aside without asking: 0.75.",
    )
    quarantine_daily: int = Field(
        20, ge=0, le=100_000, description="How many readers are set aside so in a day, at most."
    )

    @field_validator("quarantine_score", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value
