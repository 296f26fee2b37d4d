"""Verbs of models, their evaluation and the report."""
