"""The words of K-Blocks as vectors, and the taste of a reader in words.

In: the title and the content of K-Blocks. Out: cosines, and the K-Blocks that are nearest to a
taste. Front door: `vectors`, with `TextVectors`. The size is bounded for each K-Block, and nothing
here uses a database.
"""
