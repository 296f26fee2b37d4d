"""The settings of a server: where it listens, how much it takes on, how long it waits."""

import ipaddress

from pydantic import Field
from pydantic_settings import BaseSettings

MOST_SECONDS = 3_600.0


class ServerSettings(BaseSettings):
    """The settings of a server, a part of `harken.config.Settings`."""

    host: str = Field(
        "127.0.0.1",
        description="Address to serve on; one that other machines reach needs an API key.",
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to serve on; 0 picks a free one.")
    notice: str | None = Field(
        None,
        max_length=500,
        description="Text at the top of pages, such as that readers are simulated.",
    )
    readiness_timeout: float = Field(
        2.0, gt=0, le=MOST_SECONDS, description="Seconds within which /readyz answers."
    )
    shutdown_timeout: float = Field(
        20.0, ge=1, le=MOST_SECONDS, description="Seconds that a server may take to shut down."
    )
    queue_limit: int = Field(
        20_000, ge=1, description="Events that may wait for their commit; further ones get a 503."
    )
    max_connections: int = Field(
        4_000, ge=1, description="Maximum number of connections; the longest idle are closed first."
    )
    header_timeout: float = Field(
        10, gt=0, le=3_600, description="Seconds within which the headers of a request must arrive."
    )
    body_timeout: float = Field(
        30,
        gt=0,
        le=3_600,
        description="Seconds that a body may take; large bodies may take longer.",
    )
    keep_alive_timeout: int = Field(
        5, ge=1, le=3_600, description="Seconds that a connection may idle between requests."
    )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach `host`."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
