"""The tables."""

from harken.models.base import Base
from harken.models.feed_feedback import (
    FeedActivityMinute,
    FeedActivityTotal,
    FeedEngagementStats,
    FeedInteraction,
    FeedUserEngagementStats,
)

__all__ = [
    "Base",
    "FeedActivityMinute",
    "FeedActivityTotal",
    "FeedEngagementStats",
    "FeedInteraction",
    "FeedUserEngagementStats",
]
