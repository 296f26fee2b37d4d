"""A client of Harken: records feedback, and reads, ranks and searches feeds; sync and async."""

from harken_client.async_client import AsyncClient
from harken_client.client import Client
from harken_client.errors import (
    Closed,
    Conflict,
    Forbidden,
    Gone,
    HarkenClientError,
    Invalid,
    NotFound,
    QueueFull,
    Refused,
    Unauthorized,
    Undelivered,
    Unreachable,
)
from harken_client.pending import Refusal

__all__ = [
    "AsyncClient",
    "Client",
    "Closed",
    "Conflict",
    "Forbidden",
    "Gone",
    "HarkenClientError",
    "Invalid",
    "NotFound",
    "QueueFull",
    "Refusal",
    "Refused",
    "Unauthorized",
    "Undelivered",
    "Unreachable",
]
