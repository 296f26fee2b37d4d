"""All pages; those with a label are in the navigation, in this order."""

from harken.protocols.pages import api_docs, dashboard, kblock, reader

PAGES = (reader.PAGE, dashboard.PAGE, api_docs.PAGE, kblock.PAGE)
