"""Types of settings: shares, rate limits, and what decides about models."""

import re
from collections.abc import Sequence
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

_RATE = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour|day)", re.ASCII)


def _rate(text: str | None) -> str | None:
    if not text or text == "off":
        return text or None
    if not _RATE.fullmatch(text):
        raise ValueError("must be a number per second, minute, hour or day: 50/second, or off")
    return text


_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)+", re.ASCII)
# They mean something else already.
_TAKEN = {"x-api-key", "x-harken-user-token", "x-request-id", "content-type", "user-agent"}
_TAKEN_BEGINNINGS = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "sec-", "accept-")


def check_identity_header(name: str | None, proxies: Sequence[str] | None) -> str | None:
    """Return the name of the header by which proxies say who reads; None if it is not set.

    `proxies` are the addresses that are trusted, None if these are wrong themselves. Raises
    ValueError for a name that cannot be used, or where everybody could send it.
    """
    if not name:
        return None
    lower = name.lower()
    if not _HEADER.fullmatch(name) or lower in _TAKEN or lower.startswith(_TAKEN_BEGINNINGS):
        raise ValueError(
            "must be the name of a header that only your proxy sends, with a hyphen and no "
            "underscore: X-Remote-User"
        )
    if not proxies:
        raise ValueError(
            "goes with HARKEN_FORWARDED_ALLOW_IPS, which names the proxies that may send it"
        )
    if "*" in proxies or _hold_everybody(proxies):
        raise ValueError(
            "would be believed from everybody: let HARKEN_FORWARDED_ALLOW_IPS name your proxies "
            "only, such as 127.0.0.1"
        )
    return name


def _hold_everybody(proxies: Sequence[str]) -> bool:
    """Return whether networks hold all addresses, alone or together."""
    networks = [ip_network(each) for each in proxies]
    four = collapse_addresses(each for each in networks if isinstance(each, IPv4Network))
    six = collapse_addresses(each for each in networks if isinstance(each, IPv6Network))
    return any(not each.prefixlen for each in four) or any(not each.prefixlen for each in six)


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
RateLimit = Annotated[str | None, AfterValidator(_rate)]


class Promotion(StrEnum):
    """What decides whether a trained model enters service."""

    REPLAY = "replay"
    TRIAL = "trial"
