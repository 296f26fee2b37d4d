"""Full-text search over K-Blocks: their words, queries, and the search index of both databases.

In: K-Blocks as they are written; queries as people type them. Out: the numbers of the K-Blocks that
match, their relevance, and where they match. Front door: `matches`, with `SearchStore`.

    analysis    text ─▶ words, the same for both databases
    document    a K-Block ─▶ the row of the search index
    query       what a person typed ─▶ terms ─▶ a query of FTS5, or a tsquery
    rows        the search index: SQLite FTS5, or tsvectors with GIN indexes
    matches     the numbers that match, and their relevance
    marking     where a K-Block matches: its fields, and a snippet
    upkeep      which rows of the index differ from the K-Blocks, and writing them again
"""
