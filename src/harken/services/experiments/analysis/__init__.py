"""The statistics of experiments: pure functions of arrays, without a database and without a clock.

In: an `AnalysisPlan`, and for each reader the arm, the time of first exposure and the values of the
metrics. Out: effects with confidence sequences, alarms, a verdict in a sentence. Front doors:
`results.analyse` and `results.analyse_interleaving`; `power` before the start, `allocation` for
adaptive allocation, `promotion` for models. Formulas: docs/experiments-statistics.md.
"""
