"""Comments: those of the events that are recorded, how they are read, edited and removed.

In: events of the type `comment`, ids of K-Blocks. Out: rows of `feed_comments`, lists and counts.
Front door: `store`. `recording` has what the transaction that records events writes.
"""
