"""How a first page departs from the order by score: what its request says, else its reader."""

from typing import Any

from harken.domain.exploration import CAPS, Variety
from harken.domain.feeds import READER_FEEDS, Feed, Source
from harken.services.record.readers import ReaderContext

VARIETY = ("temperature", "seed", *CAPS, "explore")
"""What a request may say of it."""


def wanted(request: Any, feed: Feed, context: ReaderContext) -> Variety:
    """Return the variety that a `FeedRequest` asks for.

    If it says nothing of sources, the cap that the reader set holds; not where they chose the items
    themselves or the feed is of one source, and not where orders are drawn.
    """
    given = {name: getattr(request, name) for name in VARIETY}
    variety = Variety(**{name: value for name, value in given.items() if value is not None})
    is_of_one = all(each.kind is Source.SOURCE for each in feed.sources)
    if (
        variety.most_per_source is not None
        or variety.is_sampled
        or is_of_one
        or feed.name in READER_FEEDS
    ):
        return variety
    return variety._replace(most_per_source=context.most_per_source)
