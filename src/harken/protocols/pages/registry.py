"""All pages; those with a label are in the navigation, in this order."""

from harken.protocols.pages import api_docs, dashboard, integrity, kblock, reader

PAGES = (reader.PAGE, dashboard.PAGE, integrity.PAGE, api_docs.PAGE, kblock.PAGE)
