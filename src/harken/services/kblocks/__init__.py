"""K-Blocks: storing and reading them. `importers` imports them from files and feeds.

In: `KBlock`s. Out: stored K-Blocks, and previews. Front door: `store`, with `KBlockStore`.
"""
