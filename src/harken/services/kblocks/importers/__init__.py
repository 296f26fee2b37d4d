"""Bringing K-Blocks in from files and feeds: Markdown, RSS and its kin, JSON lines.

In: a folder, a file or an address. Out: K-Blocks in the store, and an account of each entry.
Front door: `run`, with `KBlockImport`; each importer is a `Source` for it.
"""
