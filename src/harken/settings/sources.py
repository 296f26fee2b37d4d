"""The settings of sources: how often they are asked, and what may be read of private networks."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, NoDecode

from harken.settings.parsing import Period, parsed_by, split_list


def _hosts(text: str) -> tuple[str, ...]:
    hosts = split_list(text.lower())
    if any("/" in host for host in hosts):
        raise ValueError("must be names or addresses of hosts, such as nas.local")
    return hosts


class SourceSettings(BaseSettings):
    """The settings of sources, a part of `harken.config.Settings`."""

    refresh_every: Period = Field(
        timedelta(hours=1),
        description="How often `serve` asks each source for news; empty: only on request.",
    )
    private_sources: Annotated[tuple[str, ...], NoDecode, parsed_by(_hosts)] = Field(
        (), description="Comma-separated hosts of private networks that sources may be on."
    )
