"""The page of one K-Block, at `/kblock?id=`; links in notes lead to it."""

from fastapi import Request

from harken.protocols.pages.page import Page, Values
from harken.protocols.pages.reader import load_note
from harken.protocols.pages.reading.values import states_of
from harken.protocols.pages.selection import Selection
from harken.services.providers import get_feed_service


async def _values(request: Request) -> Values:
    note, selection = (
        await load_note(request, request.query_params.get("id", "")),
        Selection.of(request),
    )
    states = await states_of(await get_feed_service(), selection, [note.kblock.id])
    return {"note": note, "selection": selection, **states}


PAGE = Page(path="/kblock", title="Note", template="kblock.html", values=_values)
