"""Every page there is; those with a label are in the navigation, in this order."""

from harken.protocols.pages import kblock, reader

PAGES = (reader.PAGE, kblock.PAGE)
