"""Models of the requests and answers of the search."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from harken.domain.feedback import GUEST
from harken.domain.fields import Identifier, Label, Text
from harken.protocols.api.schemas import ItemShape
from harken.services.feed.request import MOST_ITEMS
from harken.services.feed.search.request import LONGEST_SOURCE
from harken.services.kblocks.search.matching import ENOUGH
from harken.services.kblocks.search.query import MOST_CHARACTERS


class SearchQuery(BaseModel):
    """Parameters of a search; a cursor needs the same ones as its first page."""

    model_config = ConfigDict(extra="forbid")

    q: Annotated[Text, Field(max_length=MOST_CHARACTERS)] = Field(
        "",
        description='Words, "a phrase", -left-out, and beginnings such as gi*; without it, all '
        "K-Blocks that pass the filters, the newest first.",
    )
    user_id: Identifier | None = Field(
        None,
        description="The reader, whose dismissed and muted K-Blocks are left out; "
        f"default: {GUEST}.",
    )
    tag: Label | None = Field(None, description="Only K-Blocks with this tag.")
    author: Label | None = Field(None, description="Only K-Blocks of this author.")
    feed: str | None = Field(None, description="Only K-Blocks that are in this feed.")
    source: Annotated[Text, Field(min_length=1, max_length=LONGEST_SOURCE)] | None = Field(
        None, description="Only K-Blocks of this source of an import, such as markdown:notes."
    )
    limit: int = Field(20, ge=1, le=MOST_ITEMS)
    cursor: str | None = Field(None, description="The `next_cursor` of the previous page.")


class MatchShape(BaseModel):
    """Where a K-Block matches."""

    fields: dict[str, list[str]] = Field(
        description="By field (title, tags, author, text) the terms of the query found in it."
    )
    title: str = Field(description="The title as HTML: matches in `mark`, all else escaped.")
    snippet: str = Field(
        description="The part of the text with most of the terms, as such HTML; else the preview."
    )


class FoundItemShape(ItemShape):
    """A K-Block that was found; `score` is its relevance, more than 0 if there is a query."""

    match: MatchShape


class FoundShape(BaseModel):
    """A page of what was found. No slate is kept of it."""

    understood: str = Field(description="The query as it was understood.")
    items: list[FoundItemShape] = Field(description="Most relevant first.")
    total: int = Field(description="How many K-Blocks match, for this reader.")
    total_is_exact: bool = Field(
        description=f"False if at least `total` match: at {ENOUGH:,} counting ends, and before if "
        "too much would have to be read. The last pages have an exact total."
    )
    hidden: int = Field(
        description="How many more match, but the reader dismissed or muted them, or their time "
        "has not come; if the total is not exact, those that were looked at."
    )
    has_more: bool
    offset: int
    limit: int
    next_cursor: str | None
