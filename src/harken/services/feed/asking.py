"""Where `FeedRequest` was before; import it from `harken.services.feed.request`."""

from harken.services.feed.request import FeedRequest

__all__ = ["FeedRequest"]
