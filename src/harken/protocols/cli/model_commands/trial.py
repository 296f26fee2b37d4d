"""`harken models trial`: promotion by what readers choose."""

from typing import Annotated

import typer
from rich.markup import escape

from harken.errors import printable
from harken.protocols.cli.progress import progress
from harken.protocols.cli.running import Json, console, print_json, with_feeds
from harken.services.experiments.promotion.plans import (
    FEWEST_PLANNED,
    MOST_PLANNED,
    MOST_SHARE,
    MOST_WINDOW_DAYS,
    TrialPlan,
)
from harken.services.experiments.promotion.trials import Step
from harken.services.feed.service import FeedService

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
        float,
        typer.Option(
            help=f"The share of readers that come into the trial, at most {MOST_SHARE:g}."
        ),
    ] = PLAN.share,
    readers: Annotated[
        int,
        typer.Option(min=FEWEST_PLANNED, max=MOST_PLANNED, help="How many readers are planned."),
    ] = PLAN.readers,
    window_days: Annotated[
        int,
        typer.Option(min=1, max=MOST_WINDOW_DAYS, help="For how many days a reader is counted."),
    ] = PLAN.window_days,
    gate: Annotated[
        bool,
        typer.Option("--gate/--no-gate", help="Whether a candidate has to pass the gate first."),
    ] = True,
    as_json: Json = False,
) -> None:
    """Take the next step of promotion by trial. Run it once a day.

    It looks at the trial and the holdback that run, and decides them when their readers have: the
    candidate is promoted, or the model in service stays, or the old one comes back. If no trial
    runs, it asks the gate whether a candidate is worth one, and begins it. Needs
    HARKEN_PROMOTION=trial.
    """

    async def work(service: FeedService) -> Step:
        plan = service.trials.plan(await service.feeds.ordered_by_model(feed or []))._replace(
            share=share, readers=readers, window_days=window_days, asks_gate=gate
        )
        with progress("Ask the gate", 0) as report:
            return await service.trials.step(plan, model_id, report)

    step = with_feeds(work)
    if as_json:
        print_json(step.as_json())
        return
    for sentence in step.said:
        console.print(escape(printable(sentence)), highlight=False)
