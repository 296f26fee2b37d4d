"""K-Blocks, the items of feeds, and the edges between them."""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    Strict,
    StrictInt,
    field_validator,
)

from harken.domain.fields import (
    WHOLE,
    AddressableId,
    Identifier,
    Label,
    Part,
    Text,
    Words,
    at_most,
    parse,
)
from harken.domain.times import Time

MAX_CONTENT_BYTES = 1024 * 1024
MAX_TITLE = 500
MAX_PATH = 1024
MAX_LABELS = 64
MAX_EDGES = 1_000
MAX_LOSS = 1e6
LAYERS = (0, 7)


class EdgeKind(StrEnum):
    """The relation of a K-Block to another."""

    LINKS = "links"
    CONTRADICTS = "contradicts"


class Edge(Part):
    """One K-Block points to another, which need not exist yet."""

    target: Identifier
    kind: EdgeKind = EdgeKind.LINKS


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


Labels = Annotated[
    tuple[Label, ...],
    Field(max_length=MAX_LABELS),
    AfterValidator(_distinct),
    at_most(MAX_LABELS),
]


class KBlock(BaseModel):
    """An item of a feed: a note, a post, an article."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: AddressableId
    title: Annotated[Words, Field(max_length=MAX_TITLE)]
    content: Text = Field("", description="Markdown, or HTML; at most 1 MiB as UTF-8.")
    path: Annotated[Text, Field(min_length=1, max_length=MAX_PATH)] | None = Field(
        None, description="Where it came from: a file's path, an article's address."
    )
    kind: Label = Field("note", description="Such as note, post or article.")
    layer: Annotated[StrictInt, Field(ge=LAYERS[0], le=LAYERS[1]), WHOLE] | None = None
    author: Label | None = None
    tags: Labels = ()
    principles: Labels = ()
    galois_loss: (
        Annotated[float, Strict(), Field(ge=0, le=MAX_LOSS, allow_inf_nan=False)] | None
    ) = Field(None, description="How much is lost by restructuring it; supplied by its writer.")
    created_at: Time | None = Field(
        None,
        description="When it was made, in the years 1000 to 2999; else the time of its first "
        "arrival, which rankings also use if this date is more than a day after it.",
    )
    edges: Annotated[
        tuple[Edge, ...],
        FailFast(),
        Field(max_length=MAX_EDGES),
        AfterValidator(_distinct),
        at_most(MAX_EDGES),
    ] = ()

    @field_validator("content")
    @classmethod
    def _small_enough(cls, content: str) -> str:
        size = len(content.encode())
        if size > MAX_CONTENT_BYTES:
            raise ValueError(f"takes {size} bytes; at most {MAX_CONTENT_BYTES} are kept")
        return content

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Check the fields of one K-Block; raises InvalidInput with every problem found."""
        return parse(cls, fields)

    def targets(self, kind: EdgeKind) -> set[str]:
        """Return the ids of other K-Blocks that its edges of this kind point to."""
        return {edge.target for edge in self.edges if edge.kind is kind and edge.target != self.id}

    def digest(self) -> str:
        """Return the SHA-256 of everything but the id, in hex (64 characters)."""
        content = self.model_dump(mode="json", exclude={"id"})
        content["edges"] = sorted((edge["kind"], edge["target"]) for edge in content["edges"])
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()
