"""`/experiments` and the page of each experiment: scripts fill them from the API."""

from fastapi import Request

from harken.domain.exploration import EXPLORATIONS
from harken.domain.feeds import RANKINGS
from harken.protocols.pages.dashboard import CHARTS
from harken.protocols.pages.page import Page, Values
from harken.services.experiments.definitions import MOST_ARMS, MOST_GUARDRAILS, State
from harken.services.experiments.metrics import METRICS
from harken.services.providers import get_feed_service


async def _choices(_request: Request) -> Values:
    """Return what the form of a definition lets people choose from."""
    service = await get_feed_service()
    return {
        "states": [state.value for state in State],
        "feeds": [each.feed.name for each in await service.feeds.listed()],
        "rankings": list(RANKINGS),
        "explorations": EXPLORATIONS,
        "metrics": list(METRICS.values()),
        "most_arms": MOST_ARMS,
        "most_guardrails": MOST_GUARDRAILS,
    }


async def _name(request: Request) -> Values:
    return {"experiment_id": request.path_params["experiment_id"]}


LIST = Page(
    path="/experiments",
    title="Experiments",
    label="Experiments",
    template="experiments/list.html",
    values=_choices,
)
ONE = Page(
    path="/experiments/{experiment_id}",
    title="Experiment",
    template="experiments/one.html",
    values=_name,
    vendor=(CHARTS,),
)
