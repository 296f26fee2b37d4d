"""Models of the requests and answers about comments."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from harken.domain.fields import Identifier, Part, Words
from harken.services.record.comments.store import MOST_CHARACTERS


class CommentChange(Part):
    """The new text of a comment."""

    text: Annotated[Words, Field(max_length=MOST_CHARACTERS)]
    user_id: Identifier | None = Field(
        None, description="Who wrote it; may be left out with a user token."
    )


class CommentShape(BaseModel):
    """A comment as it reads now."""

    comment_id: str = Field(description="The id of the event that recorded it.")
    kblock_id: str
    user_id: str = Field(description="Who wrote it.")
    text: str
    created_at: datetime | None
    edited_at: datetime | None = Field(description="Null if it was never edited.")


class CommentsShape(BaseModel):
    """Comments on a K-Block, the oldest first."""

    comments: list[CommentShape]
    total: int = Field(description="How many there are, without those in quarantine.")
    next_offset: int | None = Field(description="The offset of the next page; null at the end.")
