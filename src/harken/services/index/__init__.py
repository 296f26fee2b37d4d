"""The candidates of every feed, as columns in memory; selecting and ordering them.

In: one `IndexRow` for each version of a K-Block. Out: row numbers, selected and ordered.
Front doors: `index`, with `Index`, and `ordering`. Nothing here knows a database.
"""
