"""The preferences of a reader; the principles that they declare are stored separately."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StrictBool, StrictInt

from harken.domain.exploration import MOST_PER_LABEL
from harken.domain.feeds import Weighting, weights_of
from harken.domain.fields import WHOLE, Documented, Label, Words, at_most, parse

MOST_MUTED = 200
MOST_INTERESTS = 200
"""The most labels of one kind for which a reader sets their interest."""
MOST_INTEREST = 2.0


def _distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(labels))


Muted = Annotated[
    tuple[Label, ...],
    Field(max_length=MOST_MUTED),
    AfterValidator(_distinct),
    at_most(MOST_MUTED),
]


_NO_OTHERS = Documented({"additionalProperties": False})
_Interest = Annotated[
    float, Strict(), Field(ge=-MOST_INTEREST, le=MOST_INTEREST, allow_inf_nan=False)
]
_InterestsOfKind = Annotated[
    dict[Annotated[Words, Field(max_length=1_024)], _Interest],
    _NO_OTHERS,
    at_most(MOST_INTERESTS),
]
Interests = Annotated[
    dict[
        Annotated[str, Field(pattern="^(tags|authors|principles|layers|folders|sources)$")],
        _InterestsOfKind,
    ],
    _NO_OTHERS,
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
    muted_sources: Muted = Field((), description="The keys of sources, as in `source:KEY`.")
    most_per_source: Annotated[StrictInt, Field(ge=1, le=MOST_PER_LABEL), WHOLE] | None = Field(
        None,
        description="At most so many items of one source on a page, if a request says nothing. "
        "What they want of a source, in `interests`, doubles or halves it at each step.",
    )
    hide_read: StrictBool = Field(
        default=False, description="Whether their feeds leave out what they have read."
    )
    interests: Interests = Field(
        {},
        description="How much they want of a label, by kind, in place of what their events say: "
        "from -2 (much less) to 2 (much more), 0 for no interest.",
    )

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Check preferences; raises InvalidInput with every problem found."""
        preferences = parse(cls, fields)
        weights_of(preferences.weights)
        return preferences
