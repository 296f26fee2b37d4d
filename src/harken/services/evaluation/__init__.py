"""Measures rankings and models on a log: replays, off-policy estimates, the weekly report.

In: events in the order of time, slates, and rankings to compare. Out: metrics with intervals,
verdicts. Front doors: `replay` and `metrics` for rankings, `holdout` for a new model,
`off_policy` for policies, `weekly` and `verdict` for the report. Nothing here knows a database.
"""
