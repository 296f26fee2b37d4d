"""The candidates of all feeds, as columns in memory; their selection and ranking.

In: one `IndexRow` for each version of a K-Block. Out: row numbers, selected and ranked.
Front doors: `index`, with `Index`; `selection`, which filters, and `ordering`, which ranks. Nothing
here uses a database.
"""
