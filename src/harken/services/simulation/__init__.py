"""Simulated readers, whose tastes are known, and what they do with the pages they are served."""
