"""Feeds on the web that are subscribed to: their list, and their refresh.

In: addresses of feeds and of pages that name them, lists of feeds (OPML), documents from the web.
Out: K-Blocks, by the importer of feeds; and for each source the state of its last refresh.
Front door: `service`; `schedule` refreshes in the background, `refreshing` one source.
"""
