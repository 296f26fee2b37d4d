"""Importers of K-Blocks: Markdown folders, feeds (RSS, Atom, JSON Feed), JSON lines.

In: a folder, a file or a URL. Out: K-Blocks in the store, and a summary with each failure.
Front door: `run`, with `KBlockImport`; each importer is a `Source` for it.
"""
