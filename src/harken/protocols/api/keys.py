"""Routes of API keys. They need a key with the scope `admin`, which the command line makes."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from harken.domain.durations import parse_duration
from harken.domain.fields import Part, Text, Words
from harken.errors import Forbidden
from harken.protocols import presentation
from harken.protocols.http.errors import BODY_RESPONSES, described
from harken.protocols.http.routing import HarkenRoute
from harken.services.access.key_ring import KeyRing
from harken.services.access.key_store import NewKey
from harken.services.access.rights import KeyKind, Scope

ProvideKeys = Callable[[], Awaitable[KeyRing]]
MISSING = described(status_404="There is no key with this id.")


class KeyRequest(Part):
    """A key to be made."""

    name: Annotated[Words, Field(max_length=64, description="Who uses it, for people.")]
    kind: KeyKind = KeyKind.SECRET
    scopes: Annotated[tuple[Scope, ...], Field(max_length=len(Scope))] = Field(
        (), description="For secret keys: ingest, read, items. `admin` is for the command line."
    )
    origins: Annotated[tuple[Text, ...], Field(max_length=100)] = Field(
        (), description="For publishable keys: the pages that use it, such as https://example.org."
    )
    expires: Text | None = Field(None, description="After which time it expires, such as 90d.")


class KeyShape(BaseModel):
    """A key without its secret."""

    id: str
    name: str
    kind: KeyKind
    scopes: list[Scope]
    origins: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="Written at most once a minute.")
    revoked_at: datetime | None


class KeysShape(BaseModel):
    """All keys, latest first."""

    keys: list[KeyShape]


class NewKeyShape(KeyShape):
    """A key that was just made."""

    key: str = Field(description="The key itself. It is shown this once, and not stored.")


def routes(provide: ProvideKeys) -> APIRouter:
    """Return the router of `/keys`."""
    router = APIRouter(prefix="/keys", tags=["keys"], route_class=HarkenRoute)
    Keys = Annotated[KeyRing, Depends(provide)]  # noqa: N806 — a type

    @router.get("", summary="List API keys", response_model=KeysShape)
    async def listed(ring: Keys) -> dict[str, Any]:
        """Return all keys without their secrets, also those that are no longer valid."""
        return {"keys": [presentation.key(each) for each in await ring.store.listed()]}

    @router.post(
        "",
        summary="Make an API key",
        status_code=201,
        response_model=NewKeyShape,
        responses=BODY_RESPONSES,
    )
    async def create(asked: KeyRequest, ring: Keys) -> Response:
        """Make a key with the scopes ingest, read or items, or a publishable key."""
        _check_made_here(asked.scopes)
        lifetime = None if asked.expires is None else parse_duration("expires", asked.expires)
        new = await ring.store.create(
            asked.name, asked.kind, scopes=asked.scopes, origins=asked.origins, lifetime=lifetime
        )
        ring.forget()
        return _shown(new)

    @router.post(
        "/{key_id}/rotate",
        summary="Replace an API key",
        status_code=201,
        response_model=NewKeyShape,
        responses=MISSING,
    )
    async def rotate(
        key_id: Text,
        ring: Keys,
        grace: Annotated[
            str | None, Query(description="How long the old key stays valid, such as 24h.")
        ] = None,
    ) -> Response:
        """Make a key with the same name and rights; the old one is revoked, or expires later."""
        _check_made_here((await ring.store.get(key_id)).scopes)
        span = parse_duration("grace", grace or "0min")
        new = await ring.store.rotate(key_id, span)
        ring.forget()
        return _shown(new)

    @router.delete("/{key_id}", summary="Revoke an API key", responses=MISSING)
    async def revoke(key_id: Text, ring: Keys) -> KeyShape:
        """Revoke a key: within 5 seconds no process accepts it."""
        revoked = await ring.store.revoke(key_id)
        ring.forget()
        return KeyShape.model_validate(presentation.key(revoked))

    return router


def _check_made_here(scopes: Any) -> None:
    if Scope.ADMIN in scopes:
        raise Forbidden("keys with the scope admin are made by `harken keys create` only")


def _shown(new: NewKey) -> Response:
    content = presentation.key(new.stored) | {"key": new.text}
    return JSONResponse(NewKeyShape.model_validate(content).model_dump(mode="json"), 201)
