"""Recording interactions, under the name that the specification gives it."""

from harken.services.record.persistence import BatchResult, FeedFeedbackPersistence, Rejection

__all__ = ["BatchResult", "FeedFeedbackPersistence", "Rejection"]
