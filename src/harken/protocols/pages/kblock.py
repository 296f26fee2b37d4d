"""The page of one K-Block, at `/kblock?id=`; links in notes lead to it."""

from fastapi import Request

from harken.protocols.pages.note.values import page_values
from harken.protocols.pages.page import Page, Values
from harken.protocols.pages.reader import load_note
from harken.protocols.pages.reading.values import states_of
from harken.protocols.pages.selection import Selection
from harken.services.providers import get_feed_service


async def _values(request: Request) -> Values:
    note = await load_note(request, request.query_params.get("id", ""))
    selection, service = Selection.of(request), await get_feed_service()
    return {
        "note": note,
        **await states_of(service, selection, [note.kblock.id]),
        **await page_values(service, selection, note),
    }


PAGE = Page(path="/kblock", title="Note", template="kblock.html", values=_values)
