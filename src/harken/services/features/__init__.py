"""The features of a reader and candidates, as of a time: one definition for training and serving.

In: events, one after the other. Out: a matrix, a row for each candidate and a column for each
of `names.NAMES`. Front door: `state`, with `Features`. Nothing here uses a database.
"""
