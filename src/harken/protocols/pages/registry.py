"""Every page there is, in the order of the navigation."""

from harken.protocols.pages import reader

PAGES = (reader.PAGE,)
