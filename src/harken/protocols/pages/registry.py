"""Every page there is; those with a label are in the navigation, in this order."""

from harken.protocols.pages import api_docs, kblock, reader

PAGES = (reader.PAGE, api_docs.PAGE, kblock.PAGE)
