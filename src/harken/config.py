"""The settings: read from environment variables that begin with HARKEN_."""

import ipaddress
import os
import re
from datetime import timedelta
from typing import Annotated, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from harken.domain.attention import DEFAULT_PRIOR
from harken.domain.decay import (
    DEFAULT_HALF_LIVES,
    TrendWeights,
    parse_half_lives,
    parse_trend_weights,
)
from harken.domain.durations import parse_duration
from harken.domain.feeds import DEFAULT_WEIGHTS, MAX_WEIGHT, Signal, parse_weights, weights_of
from harken.domain.objectives import known_objectives
from harken.domain.times import FutureItems
from harken.errors import InvalidInput, InvalidSettings
from harken.setting_names import PREFIX, TEST_PREFIX, check_setting_name
from harken.setting_types import Promotion, RateLimit, Share, check_identity_header
from harken.settings.serving import ServerSettings
from harken.source_settings import SourceSettings
from harken.telemetry_settings import TelemetrySettings

MOST_SECONDS = 3_600.0
LEAST_TOKEN_SECRET_BYTES = 32


class Settings(SourceSettings, TelemetrySettings, ServerSettings):
    """Every setting, with its default. `Settings.load()` refuses unknown names."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

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
    readiness_timeout: float = Field(
        2.0, gt=0, le=MOST_SECONDS, description="Seconds within which /readyz answers."
    )
    host: str = Field(
        "127.0.0.1",
        description="Address to serve on; one that other machines reach needs an API key.",
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to serve on; 0 picks a free one.")
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Comma-separated keys; if any are set, requests for data need one of them.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Comma-separated origins whose pages may call the API from a browser."
    )
    token_secret: SecretStr | None = Field(
        None, description="Secret of user tokens that are signed with HS256; 32 bytes or more."
    )
    token_jwks: str | None = Field(
        None, description="File with the public keys (JWKS) of user tokens."
    )
    token_audience: str = Field(
        "harken", min_length=1, description="The audience (`aud`) that user tokens must name."
    )
    token_issuer: str = Field(
        "harken", min_length=1, description="The issuer (`iss`) that user tokens must name."
    )
    rate_limit_key: RateLimit = Field(
        None, description="Requests of one key, such as 1000/second; by default not limited."
    )
    rate_limit_user: RateLimit = Field(
        None, description="Requests of one user token, such as 50/second."
    )
    rate_limit_address: RateLimit = Field(
        None, description="Requests of one address without a secret key, such as 50/second."
    )
    forwarded_allow_ips: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Comma-separated addresses of proxies whose X-Forwarded headers are used."
    )
    identity_header: str | None = Field(
        None, description="Header by which these proxies say who reads, such as X-Remote-User."
    )
    root_path: str = Field(
        "", description="Path that a proxy strips from requests, such as /harken."
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
    weights: Annotated[dict[Signal, float], NoDecode] = Field(
        dict(DEFAULT_WEIGHTS),
        description="Weights of signals in ranking=weighted, such as attention:0.4,recency:0.2.",
    )
    personal_weights: Annotated[dict[str, float], NoDecode] = Field(
        {},
        description="Weights of parts in ranking=personal, such as user_similarity:1.5.",
    )
    objectives: Annotated[dict[str, float], NoDecode] = Field(
        {},
        description="Weights of objectives in ranking=learned, such as engage:0.5,dismiss:-1.",
    )
    min_interactions_for_personalization: int = Field(
        5, ge=1, description="Minimum number of a reader's interactions for a personal order."
    )
    half_lives: Annotated[tuple[timedelta, ...], NoDecode] = Field(
        DEFAULT_HALF_LIVES,
        description="Half-lives of decayed counts, such as 6h,1d; `harken rebuild` changes them.",
    )
    trend_weights: Annotated[TrendWeights, NoDecode] = Field(
        TrendWeights(),
        description="Weights of events in ranking=trending, such as view:1,dismiss:-1.",
    )
    attention_prior: float = Field(
        DEFAULT_PRIOR,
        gt=0,
        allow_inf_nan=False,
        description="Interactions of a reader that weigh as much as the score of all readers.",
    )
    notice: str | None = Field(
        None,
        max_length=500,
        description="Text at the top of pages, such as that readers are simulated.",
    )
    slate_days: int = Field(
        30, ge=1, le=36_500, description="Days for which served pages are stored."
    )
    order_samples: Share = Field(
        0.01,
        description="Share of first pages whose whole order is stored with its scores.",
    )
    future_items: FutureItems = Field(
        FutureItems.SHOW,
        description="Whether to show or hide items whose date is more than a day ahead.",
    )
    promotion: Promotion = Field(
        Promotion.REPLAY,
        description="How a trained model is promoted: by replay of the log, or by trial.",
    )
    swap_share: Share = Field(
        0.1,
        description="Share of personal orders with swapped pairs, with HARKEN_PROMOTION=trial.",
    )
    trial_margin: Share = Field(
        0.05,
        description="Credit by which a retrained model may be worse and still replace the old one.",
    )
    retrain_every: Annotated[timedelta | None, NoDecode] = Field(
        None, description="Maximum age of the newest model before `serve` trains another: 7d."
    )
    detect_every: Annotated[timedelta | None, NoDecode] = Field(
        None, description="How often `serve` looks for readers who are no persons: 1h."
    )
    allocate_every: Annotated[timedelta | None, NoDecode] = Field(
        timedelta(days=1),
        ge=timedelta(days=1),
        description="How often `serve` changes the allocation of adaptive experiments: 1d.",
    )
    quarantine_score: float | None = Field(
        None,
        ge=0,
        le=1,
        description="The least score of alerts whose readers are set aside without asking.",
    )
    quarantine_daily: int = Field(
        20, ge=0, le=100_000, description="How many readers are set aside so in a day, at most."
    )

    @property
    def swapped_share(self) -> float:
        """The share of personal orders whose pairs are swapped; 0 with promotion by replay."""
        return self.swap_share if self.promotion is Promotion.TRIAL else 0.0

    @property
    def margin_of_trials(self) -> float | None:
        """The margin of trials of models; None with promotion by replay."""
        return self.trial_margin if self.promotion is Promotion.TRIAL else None

    @field_validator("weights", mode="before")
    @classmethod
    def _parse_weights(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return weights_of(parse_weights(value))
        except InvalidInput as error:
            raise ValueError(str(error)) from None

    @field_validator("personal_weights", mode="before")
    @classmethod
    def _parse_personal_weights(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            weights = parse_weights(value)
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        for name, weight in weights.items():
            if not abs(weight) <= MAX_WEIGHT:
                raise ValueError(f"{name}: must be a number from {-MAX_WEIGHT} to {MAX_WEIGHT}")
        return weights

    @field_validator("objectives", mode="before")
    @classmethod
    def _parse_objectives(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return known_objectives(parse_weights(value))
        except InvalidInput as error:
            raise ValueError(str(error)) from None

    @field_validator("half_lives", mode="before")
    @classmethod
    def _parse_half_lives(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return parse_half_lives(part.strip() for part in value.split(","))
        except InvalidInput as error:
            raise ValueError(str(error)) from None

    @field_validator("trend_weights", mode="before")
    @classmethod
    def _parse_trend_weights(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return parse_trend_weights(parse_weights(value))
        except InvalidInput as error:
            raise ValueError(str(error)) from None

    @field_validator("quarantine_score", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator(
        "retrain_every", "detect_every", "allocate_every", "refresh_every", mode="before"
    )
    @classmethod
    def _parse_every(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            every = parse_duration("", value.strip())
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        if not every:
            raise ValueError("must be more than 0; leave it unset to turn it off")
        return every

    @field_validator("token_secret")
    @classmethod
    def _long(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is None or not secret.get_secret_value():
            return None
        if len(secret.get_secret_value().encode()) < LEAST_TOKEN_SECRET_BYTES:
            raise ValueError(
                f"must have at least {LEAST_TOKEN_SECRET_BYTES} bytes; "
                "`openssl rand -base64 32` makes one"
            )
        return secret

    @field_validator("identity_header")
    @classmethod
    def _of_proxies(cls, name: str | None, info: ValidationInfo) -> str | None:
        return check_identity_header(name, info.data.get("forwarded_allow_ips"))

    @field_validator("root_path")
    @classmethod
    def _plain_path(cls, path: str) -> str:
        path = path.rstrip("/")
        if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
            raise ValueError("must be a path such as /harken")
        return path

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _networks(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            if address != "*":
                ipaddress.ip_network(address)
        return addresses

    @field_validator("api_keys", "cors_origins", "forwarded_allow_ips", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

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
        try:
            make_url(scheme + separator + rest)
        except (ValueError, ArgumentError):
            # SQLAlchemy's message repeats the part that it cannot parse, which may be a password.
            raise ValueError(
                "is not a URL that can be read; percent-encode special characters in a user or "
                "password, such as @ as %40, and give the port as a number"
            ) from None
        return scheme + separator + rest

    @classmethod
    def load(cls) -> Self:
        """Read the environment; raises InvalidSettings for unknown names and bad values."""
        for name in os.environ:
            if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX):
                check_setting_name(name, cls.model_fields)
        try:
            return cls()
        except ValidationError as error:
            raise InvalidSettings(
                "; ".join(
                    f"{PREFIX}{'.'.join(map(str, e['loc'])).upper()}: "
                    + e["msg"].removeprefix("Value error, ")
                    for e in error.errors()
                )
            ) from None

    @property
    def secrets(self) -> list[str]:
        """Texts that must not be logged: keys, and the database password, encoded and decoded."""
        password = urlsplit(self.database_url).password or ""
        hidden = [*self.api_keys, *filter(None, [self.token_secret])]
        words = [*(key.get_secret_value() for key in hidden), password, unquote(password)]
        return [word for word in words if word]

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach `host`."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
