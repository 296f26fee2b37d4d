"""What a reader's own order and "similar K-Blocks" are made of.

In: the index, affinities and features, as of a time. Out: candidates, their scores, and each
part of a score. Front door: `ordering`. Nothing here knows a database.
"""
