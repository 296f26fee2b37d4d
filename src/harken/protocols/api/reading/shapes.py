"""Models of the requests and answers about what readers have read and saved."""

from typing import Annotated

from pydantic import BaseModel, Field, StrictBool

from harken.domain.fields import Identifier, Part, at_most
from harken.protocols.api.schemas import BATCH_LIMIT


class Reads(Part):
    """K-Blocks to mark as read or unread."""

    kblock_ids: Annotated[
        list[Identifier], Field(min_length=1, max_length=BATCH_LIMIT), at_most(BATCH_LIMIT)
    ]
    user_id: Identifier | None = Field(
        None, description="The reader; may be left out with a user token."
    )
    is_read: StrictBool = Field(default=True, description="Whether they are read, or unread again.")
    is_opened: StrictBool = Field(
        default=False,
        description="Whether the reader opened them: one that was read before comes first in the "
        "history.",
    )


class Changed(BaseModel):
    """The K-Blocks whose mark changed; the others had it before, or do not exist."""

    changed: list[str]


class CountsShape(BaseModel):
    """How many K-Blocks a reader has not read, and how many they saved."""

    unread: dict[str, int] = Field(description="By feed, without what they dismissed or muted.")
    saved: int
