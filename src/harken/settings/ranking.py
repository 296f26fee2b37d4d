"""The settings of ranking: weights, half-lives, and what is stored of served pages."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, NoDecode

from harken.domain.attention import DEFAULT_PRIOR
from harken.domain.decay import (
    DEFAULT_HALF_LIVES,
    TrendWeights,
    parse_half_lives,
    parse_trend_weights,
)
from harken.domain.feeds import DEFAULT_WEIGHTS, MAX_WEIGHT, Signal, parse_weights, weights_of
from harken.domain.objectives import known_objectives
from harken.domain.times import FutureItems
from harken.setting_types import Share
from harken.settings.parsing import parsed_by


def _weights(text: str) -> dict[Signal, float]:
    return weights_of(parse_weights(text))


def _personal_weights(text: str) -> dict[str, float]:
    weights = parse_weights(text)
    for name, weight in weights.items():
        if not abs(weight) <= MAX_WEIGHT:
            raise ValueError(f"{name}: must be a number from {-MAX_WEIGHT} to {MAX_WEIGHT}")
    return weights


def _objectives(text: str) -> dict[str, float]:
    return known_objectives(parse_weights(text))


def _half_lives(text: str) -> tuple[timedelta, ...]:
    return parse_half_lives(part.strip() for part in text.split(","))


def _trend_weights(text: str) -> TrendWeights:
    return parse_trend_weights(parse_weights(text))


class RankingSettings(BaseSettings):
    """The settings of ranking, a part of `harken.config.Settings`."""

    weights: Annotated[dict[Signal, float], NoDecode, parsed_by(_weights)] = Field(
        dict(DEFAULT_WEIGHTS),
        description="Weights of signals in ranking=weighted, such as attention:0.4,recency:0.2.",
    )
    personal_weights: Annotated[dict[str, float], NoDecode, parsed_by(_personal_weights)] = Field(
        {},
        description="Weights of parts in ranking=personal, such as user_similarity:1.5.",
    )
    objectives: Annotated[dict[str, float], NoDecode, parsed_by(_objectives)] = Field(
        {},
        description="Weights of objectives in ranking=learned, such as engage:0.5,dismiss:-1.",
    )
    min_interactions_for_personalization: int = Field(
        5, ge=1, description="Minimum number of a reader's interactions for a personal order."
    )
    half_lives: Annotated[tuple[timedelta, ...], NoDecode, parsed_by(_half_lives)] = Field(
        DEFAULT_HALF_LIVES,
        description="Half-lives of decayed counts, such as 6h,1d; `harken rebuild` changes them.",
    )
    trend_weights: Annotated[TrendWeights, NoDecode, parsed_by(_trend_weights)] = Field(
        TrendWeights(),
        description="Weights of events in ranking=trending, such as view:1,dismiss:-1.",
    )
    attention_prior: float = Field(
        DEFAULT_PRIOR,
        gt=0,
        allow_inf_nan=False,
        description="Interactions of a reader that weigh as much as the score of all readers.",
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
