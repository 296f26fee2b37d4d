"""Types of settings: shares, rate limits, and what decides about models."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

_RATE = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour|day)", re.ASCII)


def _rate(text: str | None) -> str | None:
    if not text or text == "off":
        return text or None
    if not _RATE.fullmatch(text):
        raise ValueError("must be a number per second, minute, hour or day: 50/second, or off")
    return text


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
RateLimit = Annotated[str | None, AfterValidator(_rate)]


class Promotion(StrEnum):
    """What decides whether a trained model enters service."""

    REPLAY = "replay"
    TRIAL = "trial"
