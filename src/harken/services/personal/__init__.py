"""The personal order, and the similarity of K-Blocks.

In: the index, affinities and features, as of a time. Out: candidates, their scores, and each
part of a score. Front door: `ordering`. Nothing here uses a database.
"""
