"""Import and export of logs as files: JSON lines, CSV, Parquet.

In: files of events, with columns and values of other systems. Out: recorded events, and a summary
that accounts for each line; or a log as a file. Front door: `transfer`.
"""
