"""The settings of sources: how often they are asked, private networks, and their images."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode


class SourceSettings(BaseSettings):
    """The settings of sources, a part of `harken.config.Settings`."""

    refresh_every: Annotated[timedelta | None, NoDecode] = Field(
        timedelta(hours=1),
        description="How often `serve` asks each source for news; empty: only on request.",
    )
    private_sources: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Comma-separated hosts of private networks that sources may be on."
    )

    image_proxy: bool = Field(
        False,
        description="Whether pages show the images in notes, which this server fetches for them.",
    )

    @field_validator("private_sources", mode="before")
    @classmethod
    def _hosts(cls, value: object) -> object:
        if isinstance(value, str):
            hosts = tuple(part.strip().lower() for part in value.split(",") if part.strip())
            if any("/" in host for host in hosts):
                raise ValueError("must be names or addresses of hosts, such as nas.local")
            return hosts
        return value
