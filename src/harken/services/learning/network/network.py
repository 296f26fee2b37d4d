"""A network of one layer of hidden units: its scores, and what each input contributes to them.

Trees cut features into steps; a network is smooth. Their errors differ, so the sum of both scores
is better than either. With one hidden layer, the contributions have a closed form.
"""

import base64
import binascii
from functools import cached_property
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

MOST_UNITS = 1_024

_Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]
_Scale = Annotated[float, Field(allow_inf_nan=False, ge=1e-9, le=1e9)]


class Layers(NamedTuple):
    """The weights of a network: inputs × units, an offset of each unit, and its output's weight."""

    weights: Singles
    offsets: Singles
    outputs: Singles


class Network(BaseModel):
    """The parameters of a network; `means` and `scales` have a number for each input.

    `parameters` are `Layers` one after the other, as base64 of little-endian half-precision floats.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    means: tuple[_Number, ...] = Field(strict=False, max_length=10_000)
    scales: tuple[_Scale, ...] = Field(strict=False)
    units: int = Field(ge=1, le=MOST_UNITS)
    parameters: str

    @classmethod
    def of(cls, means: Floats, scales: Floats, layers: Layers) -> Self:
        """Return a network with these parameters, rounded to half precision."""
        numbers = np.concatenate([each.ravel() for each in layers]).astype("<f2")
        return cls(
            means=tuple(means.tolist()),
            scales=tuple(scales.tolist()),
            units=len(layers.offsets),
            parameters=base64.b64encode(numbers.tobytes()).decode("ascii"),
        )

    @model_validator(mode="after")
    def _fit_together(self) -> "Network":
        if len(self.means) != len(self.scales):
            raise ValueError("means and scales must have a number for each input")
        try:
            found = base64.b64decode(self.parameters, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("parameters must be base64") from None
        if len(found) != 2 * self.units * (len(self.means) + 2):
            raise ValueError("parameters must have a number for each input and unit")
        if not np.isfinite(np.frombuffer(found, "<f2")).all():
            raise ValueError("parameters must be finite")
        return self

    @cached_property
    def _layers(self) -> Layers:
        numbers = np.frombuffer(base64.b64decode(self.parameters), "<f2").astype(np.float32)
        offsets, outputs = numbers[-2 * self.units :].reshape(2, -1)
        weights = numbers[: -2 * self.units].reshape(len(self.means), self.units)
        return Layers(weights, offsets, outputs)

    @cached_property
    def _standards(self) -> tuple[Singles, Singles]:
        return np.array(self.means, np.float32), (1 / np.array(self.scales)).astype(np.float32)

    def score(self, inputs: Any) -> Floats:
        """Return a score for each row of inputs (candidates × inputs); higher is better."""
        hidden = standard(inputs, *self._standards) @ self._layers.weights
        hidden += self._layers.offsets
        np.maximum(hidden, 0, out=hidden)
        scores: Floats = (hidden @ self._layers.outputs).astype(np.float64)
        return scores

    def contributions(self, inputs: Any) -> Floats:
        """Return what each input adds to each score, and last the score of a mean candidate.

        The shape is candidates × (inputs + 1), and a row's sum is its score. These are integrated
        gradients from the mean candidate (Sundararajan et al., Axiomatic attribution for deep
        networks, ICML 2017). On the way from there to a candidate, the sum in a unit is linear. So
        the unit is above 0 in one part of the way, and the integral is the length of this part.
        """
        rows = standard(inputs, *self._standards).astype(np.float64)
        weights, offsets, outputs = (each.astype(np.float64) for each in self._layers)
        rise = rows @ weights
        end = offsets + rise
        # The part of the way on which offsets + t · rise is above 0, for t from 0 to 1.
        crossing = np.clip(
            np.divide(-offsets, rise, out=np.zeros_like(rise), where=rise != 0), 0, 1
        )
        above = np.where(end > 0, np.where(offsets > 0, 1.0, 1 - crossing), 0.0)
        above = np.where((end <= 0) & (offsets > 0), crossing, above)
        of_inputs = rows * ((above * outputs) @ weights.T)
        mean = np.maximum(offsets, 0.0) @ outputs
        return np.column_stack([of_inputs, np.full(len(rows), mean)])


def standard(inputs: Any, means: Singles, factors: Singles) -> Singles:
    """Return inputs as distances from their means, far ones by their logarithm.

    `factors` are the inverse scales. A distance of z is sign(z) · ln(1 + |z|): some features have
    values that are far from all others, which would decide alone.
    """
    distances: Singles = np.subtract(inputs, means)
    distances *= factors
    found = np.abs(distances)
    found += np.float32(1)
    np.log(found, out=found)
    return np.copysign(found, distances, out=found)
