"""Trained models and reports of one database: storing, putting in service, retraining.

In: the log, slates and descriptions of K-Blocks. Out: stored models, the one in service, and
reports. Front door: `registry`, with the stores; `training`, `retraining` and `reporting` work
on these.
"""
