"""The former module of `FeedRequest`; import it from `harken.services.feed.request`."""

from harken.services.feed.request import FeedRequest

__all__ = ["FeedRequest"]
