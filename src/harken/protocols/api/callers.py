"""The callers of routes: a caller who is bound to a reader acts as that reader, whatever they send.

The access rules of `harken serve` recognise the caller; in another application, the dependency
that `create_feed_router(user=…)` gets says who it is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from starlette.requests import Request

from harken.domain.feedback import GUEST
from harken.domain.fields import is_identifier
from harken.errors import Forbidden, HarkenError
from harken.protocols.http.security import caller_of
from harken.services.access.rights import Caller
from harken.services.feed.service import FeedService

User = Callable[..., Any]
"""A FastAPI dependency that returns the id of the reader who sends a request; None for a guest."""


def dependency(user: User | None) -> Callable[..., Any]:
    """Return the dependency that routes take their caller from."""

    async def recognised(request: Request) -> Caller:
        return _checked(request, caller_of(request.scope))

    if user is None:
        return recognised
    # Imported here: what is answered before FastAPI's routes does not wait for FastAPI.
    from fastapi import Depends  # noqa: PLC0415

    async def given(request: Request, user_id: Annotated[str | None, Depends(user)]) -> Caller:
        return _checked(request, Caller(user_id=GUEST if user_id is None else user_id))

    return given


async def for_all_readers(request: Request) -> None:
    """Raise Forbidden for a caller who is bound to a reader, where events of others are changed."""
    if caller_of(request.scope).is_bound:
        raise Forbidden("this changes events of all readers: send it without a user token")


def _checked(request: Request, caller: Caller) -> Caller:
    """Return a caller; raises Forbidden if the address of the request names another reader."""
    named = request.path_params.get("user_id")
    check_named(caller, [named, *request.query_params.getlist("user_id")])
    return caller


def check_named(caller: Caller, named: Sequence[str | None]) -> None:
    """Raise Forbidden for a caller who is bound to a reader, where an address names another."""
    if caller.is_bound:
        for each in named:
            caller.acts_as(each)


async def bound_event(
    fields: Mapping[str, Any], caller: Caller, service: FeedService
) -> dict[str, Any]:
    """Return the fields of an event of a bound caller.

    Raises Forbidden for an event of another reader, or one that names a page of another reader.
    """
    [event] = await bound_events([fields], caller, service)
    if isinstance(event, HarkenError):
        raise event
    return dict(event)


async def bound_events(events: Sequence[Any], caller: Caller, service: FeedService) -> list[Any]:
    """Return the fields of each event of a bound caller, or the error that it may not be recorded.

    Raises DatabaseUnavailable.
    """
    asked = {_request_id(fields) for fields in events} - {None}
    readers = await service.ledger.readers(sorted(asked))
    return [_bound(fields, caller, readers) for fields in events]


def _bound(fields: Any, caller: Caller, readers: Mapping[str, str]) -> Any:
    if not isinstance(fields, Mapping):
        return fields  # the validation of events refuses it
    try:
        user_id = caller.acts_as(fields.get("user_id"))
        caller.check_action(fields.get("action"))
    except Forbidden as error:
        return error
    if readers.get(_request_id(fields) or "", user_id) not in {user_id, GUEST}:
        return Forbidden("request_id: names a page of another reader")
    return {**fields, "user_id": user_id}


def _request_id(fields: Any) -> Any:
    """Return the page that an event names, if that can be the id of one; else None."""
    found = fields.get("request_id") if isinstance(fields, Mapping) else None
    return found if isinstance(found, str) and is_identifier(found) else None
