"""Ranking, under the module name of the specification."""

from harken.services.index.ordering import Reader, best, explain, scores
from harken.services.index.selection import select

__all__ = ["Reader", "best", "explain", "scores", "select"]
