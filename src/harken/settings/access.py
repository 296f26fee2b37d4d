"""The settings of access: keys, user tokens, limits of requests, proxies."""

import ipaddress
import re
from typing import Annotated

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode

from harken.setting_types import RateLimit, check_identity_header
from harken.settings.parsing import SPLIT

LEAST_TOKEN_SECRET_BYTES = 32


class AccessSettings(BaseSettings):
    """The settings of access, a part of `harken.config.Settings`."""

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode, SPLIT] = Field(
        (),
        description="Comma-separated keys; if any are set, requests for data need one of them.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, SPLIT] = Field(
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
    forwarded_allow_ips: Annotated[tuple[str, ...], NoDecode, SPLIT] = Field(
        (), description="Comma-separated addresses of proxies whose X-Forwarded headers are used."
    )
    identity_header: str | None = Field(
        None, description="Header by which these proxies say who reads, such as X-Remote-User."
    )
    root_path: str = Field(
        "", description="Path that a proxy strips from requests, such as /harken."
    )

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

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _networks(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            if address != "*":
                ipaddress.ip_network(address)
        return addresses

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
