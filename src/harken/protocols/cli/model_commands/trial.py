"""`harken models trial`: promotion by what readers choose."""

from typing import Annotated

import typer
from rich.markup import escape

from harken.config import Settings
from harken.errors import InvalidInput, Problem
from harken.protocols.cli.progress import progress
from harken.protocols.cli.running import Json, console, print_json, with_feeds
from harken.services.experiments.promotion.plans import TrialPlan
from harken.services.experiments.promotion.trials import Step
from harken.services.feed.service import FeedService
from harken.services.kblocks.importers.run import printable
from harken.setting_types import Promotion

PLAN = TrialPlan(())


def install(models: typer.Typer) -> None:
    """Add the command `trial` to the group `models`."""
    models.command()(trial)


def trial(
    model_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The candidate; by default the newest.")
    ] = None,
    feed: Annotated[
        list[str] | None,
        typer.Option(help="A feed of the trial; by default all that are ordered by a model."),
    ] = None,
    share: Annotated[
        float, typer.Option(help="The share of readers that come into the trial, at most 0.9.")
    ] = PLAN.share,
    readers: Annotated[
        int, typer.Option(min=100, max=10_000_000, help="How many readers are planned.")
    ] = PLAN.readers,
    window_days: Annotated[
        int, typer.Option(min=1, max=28, help="For how many days a reader is counted.")
    ] = PLAN.window_days,
    as_json: Json = False,
) -> None:
    """Take the next step of promotion by trial. Run it once a day.

    It looks at the trial and the holdback that run, and decides them when their readers have: the
    candidate is promoted, or the model in service stays, or the old one comes back. If no trial
    runs, it asks the gate whether a candidate is worth one, and begins it. Needs
    HARKEN_PROMOTION=trial.
    """
    settings = Settings.load()
    if settings.promotion is not Promotion.TRIAL:
        raise InvalidInput(
            Problem("HARKEN_PROMOTION", f"is {settings.promotion}; trials need trial")
        )

    async def work(service: FeedService) -> Step:
        plan = TrialPlan(
            await _feeds(service, feed or []), share, readers, window_days, settings.trial_margin
        )
        with progress("Ask the gate", 0) as report:
            return await service.trials.step(plan, model_id, report)

    step = with_feeds(work)
    if as_json:
        print_json(step.as_json())
        return
    for sentence in step.said:
        console.print(escape(printable(sentence)), highlight=False)


async def _feeds(service: FeedService, named: list[str]) -> list[str]:
    """Return the feeds of a trial; raises InvalidInput for one that no model orders."""
    listed = [each.feed for each in await service.feeds.listed()]
    if not named:
        return [each.name for each in listed if each.ranking.is_learned]
    for name in named:
        if not (await service.feeds.find(name)).ranking.is_learned:
            raise InvalidInput(
                Problem("feed", f"{name} is not ordered by a model: its ranking is not learned")
            )
    return named
