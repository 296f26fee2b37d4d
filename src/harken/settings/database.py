"""The settings of the database: where it is, and how long it may take."""

import re
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from harken.databases.postgresql_urls import check_parameters, with_hosts_aside
from harken.settings.parsing import parsed_by, split_list

MOST_SECONDS = 3_600.0


class DatabaseSettings(BaseSettings):
    """The settings of the database, a part of `harken.config.Settings`."""

    database_url: str = Field(
        "sqlite+aiosqlite:///harken.db",
        description="SQLAlchemy URL of the database: sqlite+aiosqlite or postgresql+asyncpg.",
    )
    database_schema: str | None = Field(
        None,
        description="PostgreSQL schema of the tables; by default the first of the search path.",
    )
    database_pool_size: int = Field(
        20, ge=1, le=1_000, description="Maximum number of PostgreSQL connections of a process."
    )
    database_connect_timeout: float = Field(
        5.0, gt=0, le=MOST_SECONDS, description="Seconds that connecting to PostgreSQL may take."
    )
    database_command_timeout: float = Field(
        10.0,
        gt=0,
        le=MOST_SECONDS,
        description="Seconds that a statement, or a wait for a lock or a connection, may take.",
    )
    database_keepalive: float = Field(
        30.0,
        ge=1,
        le=MOST_SECONDS,
        description="Seconds of silence after which TCP checks the connection to PostgreSQL.",
    )

    read_urls: Annotated[tuple[str, ...], NoDecode, parsed_by(split_list)] = Field(
        (), description="Comma-separated URLs of PostgreSQL standbys that answer long reads."
    )
    read_wait: float = Field(
        0.2,
        ge=0,
        le=60,
        description="Seconds in which a standby may catch up before the primary answers a read.",
    )

    @field_validator("read_urls")
    @classmethod
    def _standbys(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        known = tuple(cls._known_database(url) for url in urls)
        if any(url.startswith("sqlite") for url in known):
            raise ValueError("must be standbys of PostgreSQL, postgresql+asyncpg://…")
        return known

    @field_validator("database_schema")
    @classmethod
    def _plain_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
            raise ValueError(
                "must be lower-case letters, digits and underscores, not beginning with a digit, "
                "at most 63"
            )
        return name

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        scheme, separator, rest = url.partition("://")
        drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
        drivers["postgres"] = drivers["postgresql"]
        scheme = drivers.get(scheme, scheme)
        if not separator or scheme not in drivers.values():
            raise ValueError(
                "must begin with sqlite+aiosqlite:/// (and a path) or postgresql+asyncpg:// "
                "(user:password@host/database)"
            )
        whole = scheme + separator + rest
        try:
            if scheme == drivers["postgresql"]:
                whole = with_hosts_aside(whole)
            make_url(whole)
        except (ValueError, ArgumentError):
            # SQLAlchemy's message repeats the part that it cannot parse, which may be a password.
            raise ValueError(
                "is not a URL that can be read; percent-encode special characters in a user or "
                "password, such as @ as %40, and give the port as a number"
            ) from None
        if scheme == drivers["postgresql"]:
            check_parameters(whole)
        return whole
