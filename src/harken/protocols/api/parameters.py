"""Ids as they stand in paths, with what the OpenAPI document says of them."""

from typing import Annotated

from fastapi import Path

from harken.domain.declarations import FEED_ID, RESERVED
from harken.domain.feedback import GUEST
from harken.domain.feeds import DEFAULT_FEEDS
from harken.domain.fields import Identifier, KeptIdentifier

_NOT_GUEST = Path(
    description="A reader who has a name.", json_schema_extra={"not": {"enum": [GUEST]}}
)
Reader = Annotated[Identifier, _NOT_GUEST]
KeptReader = Annotated[KeptIdentifier, _NOT_GUEST]

StoredFeed = Annotated[
    str,
    Path(
        description="None of Harken's own, and none of the names that mean something else.",
        json_schema_extra={
            "pattern": f"^{FEED_ID.pattern}$",
            "not": {"enum": sorted({*DEFAULT_FEEDS, *RESERVED})},
        },
    ),
]
