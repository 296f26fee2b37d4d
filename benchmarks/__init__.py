"""Measurements of Harken; docs/benchmarks.md says what they measure and how."""
