"""Feeds of what a reader saved or read, and the counts of what is unread.

In: a reader. Out: their feeds `saved` and `history`, and counts. Front door: `reading`.
"""
