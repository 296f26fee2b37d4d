"""Types of the ids in paths, with their schemas in the OpenAPI document."""

from typing import Annotated

from fastapi import Path

from harken.domain.declarations import FEED_ID, RESERVED
from harken.domain.feedback import GUEST
from harken.domain.feeds import DEFAULT_FEEDS
from harken.domain.fields import Identifier, KeptIdentifier

_NOT_GUEST = Path(
    description="The id of a reader; `guest` is not allowed.",
    json_schema_extra={"not": {"enum": [GUEST]}},
)
Reader = Annotated[Identifier, _NOT_GUEST]
KeptReader = Annotated[KeptIdentifier, _NOT_GUEST]

StoredFeed = Annotated[
    str,
    Path(
        description="A name of your own; names of default feeds and routes are not allowed.",
        json_schema_extra={
            "pattern": f"^{FEED_ID.pattern}$",
            "not": {"enum": sorted({*DEFAULT_FEEDS, *RESERVED})},
        },
    ),
]
