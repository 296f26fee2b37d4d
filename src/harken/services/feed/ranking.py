"""Ranking, under the module name of the specification."""

from harken.services.index.ordering import Reader, best, explain, scores, select

__all__ = ["Reader", "best", "explain", "scores", "select"]
