"""REST of experiments: their definitions and states, and flags for the product's own code."""
