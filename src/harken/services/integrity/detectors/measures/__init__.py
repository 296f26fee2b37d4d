"""Measures that detectors share.

In: a log as columns. Out: tails of distributions, meetings of readers, features, anomalies of a
series. Front door: `touches`, for who touched what; `chance`, for how likely that is.

    chance           tails of distributions, Benjamini-Hochberg
    touches          first touches by reader and by K-Block; who met whom
    exposures        what slates showed, and what that explains
    groups           dense components of a graph of pairs
    reader_features  readers in twelve numbers
    series           anomalies of volume in a series of counts
"""
