"""The baseline: what events count that were dropped from the log.

In: entries of the log. Out: each statistic as the baseline plus what these entries count, and since
when the log is complete. Front door: `definitions`.
"""
