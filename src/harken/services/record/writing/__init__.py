"""Which shards of the activity tables a process adds to.

In: how many writers a process has, and its slot, if it has one. Out: the number of a shard for each
writer. Front door: `shards`.
"""
