"""Search for a reader: what matches, most relevant first, as pages that fit together.

In: a `SearchRequest`. Out: a `SearchPage`; nothing is written, neither a slate nor the query.
Front door: `finding`, with `KBlockSearch`.
"""
