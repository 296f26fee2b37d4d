"""Commands of models, of their evaluation and of the report."""
