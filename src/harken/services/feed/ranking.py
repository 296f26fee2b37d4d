"""Ranking, under the name that the specification gives it."""

from harken.services.index.ordering import Reader, best, explain, scores, select

__all__ = ["Reader", "best", "explain", "scores", "select"]
