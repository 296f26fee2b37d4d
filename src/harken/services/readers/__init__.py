"""Reader histories, affinities and the recent readers of items, in memory.

In: events, one after the other, and the attributes of K-Blocks. Out: affinities and personal
scores. Front door: `affinities`, with `Affinities`. The state follows from the log alone, its size
is bounded per reader and per K-Block, and nothing here uses a database.
"""
