"""The preferences of a reader; the principles that they declare are stored separately."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool

from harken.domain.feeds import Weighting, weights_of
from harken.domain.fields import Label, at_most, parse

MOST_MUTED = 200


def _distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(labels))


Muted = Annotated[
    tuple[Label, ...],
    Field(max_length=MOST_MUTED),
    AfterValidator(_distinct),
    at_most(MOST_MUTED),
]


class Preferences(BaseModel):
    """The preferences of a reader; omitted fields have their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    personalized: StrictBool = Field(
        default=True, description="Whether their interactions are used to personalise."
    )
    weights: Weighting = Field({}, description="For ranking=weighted, if a request gives none.")
    muted_tags: Muted = ()
    muted_authors: Muted = ()
    hide_read: StrictBool = Field(
        default=False, description="Whether their feeds leave out what they have read."
    )

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Check preferences; raises InvalidInput with every problem found."""
        preferences = parse(cls, fields)
        weights_of(preferences.weights)
        return preferences
