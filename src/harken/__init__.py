"""Harken: a feedback engine for feeds."""

from harken.config import Settings
from harken.domain.feedback import FeedbackAction, Interaction
from harken.errors import HarkenError

__version__ = "0.1.0.dev0"

__all__ = ["FeedbackAction", "HarkenError", "Interaction", "Settings", "__version__"]
