"""Feeds of the web as entries: RSS, Atom, JSON Feed, fetched within limits.

In: addresses and documents. Out: entries with their identity and dates. Front doors: `fetching`
and `documents`.
"""
