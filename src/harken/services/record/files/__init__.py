"""Whole logs as files: JSON lines, CSV, Parquet.

In: files of events, with somebody's own columns and values. Out: recorded events, and an
account of each line; or a log as a file. Front door: `transfer`.
"""
