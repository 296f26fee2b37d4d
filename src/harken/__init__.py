"""Harken: a feedback engine for feeds."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harken.config import Settings
    from harken.domain.feedback import FeedbackAction, Interaction
    from harken.errors import HarkenError

__version__ = "0.1.0.dev0"

__all__ = ["FeedbackAction", "HarkenError", "Interaction", "Settings", "__version__"]

_HOMES = {
    "FeedbackAction": "harken.domain.feedback",
    "HarkenError": "harken.errors",
    "Interaction": "harken.domain.feedback",
    "Settings": "harken.config",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used.

    Every program that imports a part of Harken imports this package, too. It should not wait for
    parts that it does not use.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
