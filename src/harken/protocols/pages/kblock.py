"""The page of one K-Block, at `/kblock?id=`; links in notes lead to it."""

from fastapi import Request

from harken.protocols.pages.page import Page, Values
from harken.protocols.pages.reader import load_note
from harken.protocols.pages.selection import Selection


async def _values(request: Request) -> Values:
    return {
        "note": await load_note(request, request.query_params.get("id", "")),
        "selection": Selection.of(request),
    }


PAGE = Page(path="/kblock", title="Note", template="kblock.html", values=_values)
