"""One K-Block, at `/kblock?id=`: where links in notes lead, and what can be linked to."""

from fastapi import Request

from harken.protocols.pages.choice import Choice
from harken.protocols.pages.page import Page, Values
from harken.protocols.pages.reader import find_whole


async def _values(request: Request) -> Values:
    return {
        "whole": await find_whole(request, request.query_params.get("id", "")),
        "choice": Choice.of(request),
    }


PAGE = Page(path="/kblock", title="Note", template="kblock.html", values=_values)
