"""Every page there is; those with a label are in the navigation, in this order."""

from harken.protocols.pages import dashboard, kblock, reader

PAGES = (reader.PAGE, dashboard.PAGE, kblock.PAGE)
