"""Web feeds (RSS, Atom, JSON Feed): fetching within limits, and parsing into entries.

In: URLs and documents. Out: entries with their identities and dates. Front doors: `fetching` and
`documents`.
"""
