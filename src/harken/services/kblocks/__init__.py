"""K-Blocks: keeping them. `importers` brings them in.

In: `KBlock`s. Out: what is kept of them, and previews. Front door: `store`, with `KBlockStore`.
"""
