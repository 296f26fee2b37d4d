"""The routes of alerts and quarantines."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from harken.domain.fields import KeptIdentifier
from harken.protocols import presentation
from harken.protocols.api.callers import User
from harken.protocols.api.integrity.shapes import (
    ActsShape,
    AlertDetailShape,
    AlertsShape,
    DismissalRequest,
    OutcomeShape,
    QuarantineRequest,
    QuarantinesShape,
    ReleaseRequest,
)
from harken.protocols.http.errors import BODY_RESPONSES, RESPONSES, described
from harken.protocols.http.routing import BatchRoute, HarkenRoute
from harken.services.access.rights import Caller
from harken.services.integrity.alerts.alert_store import MOST_LISTED, AlertState, AlertStore
from harken.services.integrity.quarantine.acts import Decision, Quarantine

ProvideAlerts = Callable[[], Awaitable[AlertStore]]
ProvideQuarantine = Callable[[], Awaitable[Quarantine]]
NO_ALERT = described(status_404="There is no such alert.")
NOT_THERE = described(status_404="One of them is not in the log, or there is no such alert.")
NOT_ASIDE = described(status_404="One of them is not set aside; then none is released.")

Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]


def routes(alerts: ProvideAlerts, quarantine: ProvideQuarantine, who: User) -> APIRouter:
    """Return the router of `/integrity`."""
    router = APIRouter(prefix="/integrity", tags=["integrity"], responses=RESPONSES)
    router.include_router(_alerts(alerts, who))
    router.include_router(_quarantines(quarantine))
    router.include_router(_acts(quarantine, who))
    return router


def _alerts(provide: ProvideAlerts, who: User) -> APIRouter:
    router = APIRouter(prefix="/alerts", route_class=HarkenRoute)
    Store = Annotated[AlertStore, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @router.get("", summary="List alerts", response_model=AlertsShape)
    async def listed(
        store: Store,
        state: Annotated[AlertState | None, Query(description="Only alerts of this state.")] = None,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> dict[str, Any]:
        """Return what detectors found, the most suspect first."""
        return presentation.alerts(*await store.listed(state, limit, offset))

    @router.get(
        "/{alert_id}", summary="Get an alert", response_model=AlertDetailShape, responses=NO_ALERT
    )
    async def detail(alert_id: KeptIdentifier, store: Store) -> dict[str, Any]:
        """Return an alert with its evidence, and the readers that it accuses."""
        return presentation.alert(await store.get(alert_id))

    @router.post(
        "/{alert_id}/dismissal",
        summary="Dismiss an alert",
        response_model=AlertDetailShape,
        responses=NO_ALERT | BODY_RESPONSES,
    )
    async def dismiss(
        alert_id: KeptIdentifier, asked: DismissalRequest, store: Store, caller: Who
    ) -> dict[str, Any]:
        """Note that an alert is no reason to act; it stays in the list."""
        return presentation.alert(await store.dismiss(alert_id, name_of(caller), asked.note))

    return router


def _quarantines(provide: ProvideQuarantine) -> APIRouter:
    router = APIRouter(prefix="/quarantines", route_class=HarkenRoute)
    Acts = Annotated[Quarantine, Depends(provide)]  # noqa: N806 — a type

    @router.get("", summary="List what is set aside", response_model=QuarantinesShape)
    async def listed(acts: Acts, limit: Limit = 100, offset: Offset = 0) -> dict[str, Any]:
        """Return the readers, sessions and events that are set aside, the latest first."""
        return presentation.quarantines(await acts.audit.in_force(limit, offset))

    @router.get("/audit", summary="List the acts", response_model=ActsShape)
    async def audit(acts: Acts, limit: Limit = 100, offset: Offset = 0) -> dict[str, Any]:
        """Return who set aside or released what, when and why, the latest first."""
        return presentation.quarantine_acts(await acts.audit.acts(limit, offset))

    return router


def _acts(provide: ProvideQuarantine, who: User) -> APIRouter:
    router = APIRouter(prefix="/quarantines", route_class=BatchRoute)
    Acts = Annotated[Quarantine, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @router.post(
        "",
        summary="Set readers, sessions or events aside",
        response_model=OutcomeShape,
        responses=NOT_THERE | BODY_RESPONSES,
    )
    async def add(asked: QuarantineRequest, acts: Acts, caller: Who) -> dict[str, Any]:
        """Set aside in one transaction: their events count nothing from now on."""
        decision = Decision(name_of(caller), asked.reason, asked.alert_id, asked.confirm)
        return presentation.quarantine_outcome(await acts.add(asked.target, asked.ids, decision))

    @router.post(
        "/release",
        summary="Release readers, sessions or events",
        response_model=OutcomeShape,
        responses=NOT_ASIDE | BODY_RESPONSES,
    )
    async def release(asked: ReleaseRequest, acts: Acts, caller: Who) -> dict[str, Any]:
        """Release in one transaction: their events count again, exactly as before."""
        decision = Decision(name_of(caller), asked.reason)
        outcome = await acts.release(asked.target, asked.ids, decision)
        return presentation.quarantine_outcome(outcome)

    return router


def name_of(caller: Caller) -> str:
    """Return who acts, for the audit: the id of a key, or what else let them in."""
    if caller.key_id is not None:
        return caller.key_id
    return "settings" if caller.is_from_settings else "local" if caller.is_local else "application"
