"""All pages; those with a label are in the navigation, in this order."""

from harken.protocols.pages import api_docs, dashboard, integrity, kblock, reader
from harken.protocols.pages.experiments import frames
from harken.protocols.pages.search import frames as search
from harken.protocols.pages.signing_in import frames as signing_in
from harken.protocols.pages.sources import frames as sources

PAGES = (
    reader.PAGE, sources.PAGE, dashboard.PAGE, frames.LIST, integrity.PAGE, api_docs.PAGE,
    kblock.PAGE, search.PAGE, frames.ONE, signing_in.PAGE,
)  # fmt: skip
