"""The record of interactions, under the module name of the specification."""

from harken.services.record.persistence import BatchResult, FeedFeedbackPersistence, Rejection

__all__ = ["BatchResult", "FeedFeedbackPersistence", "Rejection"]
