"""`harken train` and `harken models`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from harken.config import Settings
from harken.domain.durations import parse_duration, write_duration
from harken.errors import InvalidInput, Problem
from harken.protocols import presentation
from harken.protocols.cli.data_commands.imports import INTERRUPTED
from harken.protocols.cli.data_commands.logs import aware
from harken.protocols.cli.model_commands import trial
from harken.protocols.cli.model_commands.engines import (
    EngineChoice,
    EngineName,
    EngineOption,
    MasterOption,
    WorkOption,
    trainer,
)
from harken.protocols.cli.progress import progress
from harken.protocols.cli.running import (
    TIME_FORMATS,
    Force,
    Json,
    check_new,
    console,
    escaped,
    messages,
    print_json,
    print_left_out,
    with_feeds,
)
from harken.protocols.cli.tables import add_names, add_numbers, add_text, make_table, print_table
from harken.services.evaluation.holdout import Trainer, TrainingRun, train_and_measure
from harken.services.evaluation.holdout_replay import CANDIDATE
from harken.services.evaluation.metrics import METRICS
from harken.services.feed.service import FeedService
from harken.services.learning.engines import LOCAL_CLUSTER
from harken.services.learning.impressions import WARM_UP
from harken.services.learning.model_storage import model_files
from harken.services.learning.ranker import RankerSettings, require_lightgbm
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.registry.store import StoredModel
from harken.services.registry.training import TrainingInputs, read_training_inputs, store_model
from harken.services.registry.training_data import TrainingRange
from harken.setting_types import Promotion

models = typer.Typer(
    no_args_is_help=True, help="List, show, promote and roll back models of the learned ranking."
)

ModelId = Annotated[str, typer.Argument(metavar="ID", help="The model's id.")]


def install(app: typer.Typer) -> None:
    """Add the command `train` and the group `models`."""
    app.command()(train)
    trial.install(models)
    app.add_typer(models, name="models")


def train(
    promote: Annotated[
        bool, typer.Option("--promote", help="Put the model in service if it is better.")
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=TIME_FORMATS,
            help="Leave out events before this time (UTC).",
        ),
    ] = None,
    window: Annotated[
        str,
        typer.Option(
            help="The length of the end of the log that is used for measuring, such as 7d."
        ),
    ] = "7d",
    warm_up: Annotated[
        str,
        typer.Option(help="The length of the start of the log without impressions, such as 7d."),
    ] = write_duration(WARM_UP),
    fewest: Annotated[
        int, typer.Option(min=20, help="The least number of impressions for training.")
    ] = RankerSettings.fewest,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Seed of the random numbers.")
    ] = 0,
    engine: EngineOption = EngineName.HERE,
    master: MasterOption = LOCAL_CLUSTER,
    work: WorkOption = None,
    as_json: Json = False,
) -> None:
    """Train the learned ranking on the log of the configured database, and store the model.

    The end of the log is held out. On it, the model is compared with the personal ranking and the
    model in service. --promote puts it in service if it is better than the model in service, or
    than the personal ranking if there is none. Exit code 1 if it is not better. With
    HARKEN_PROMOTION=trial, readers decide: `harken models trial`, and --promote promotes nothing.
    """
    require_lightgbm()
    by_trial = Settings.load().promotion is Promotion.TRIAL
    length, warm = parse_duration("window", window), parse_duration("warm_up", warm_up)
    try:
        settings = TrainingSettings(seed=seed, ranker=RankerSettings(seed=seed, fewest=fewest))
        extent = TrainingRange(length, settings.window, settings.most, since and aware(since))
        inputs = with_feeds(lambda service: read_training_inputs(service.registry, extent))
        if inputs.problem is not None:
            problem = escape(inputs.problem)
            messages.print(f"The model in service cannot be compared: {problem}")
        choice = EngineChoice(engine, master, work)
        begin = since and aware(since)
        with trainer(choice, begin, settings, inputs.log.affinities) as by_engine:
            trained = _train(inputs, settings, length, warm, by_engine)
    except KeyboardInterrupt:
        messages.print("Interrupted: nothing was written.")
        raise typer.Exit(INTERRUPTED) from None
    aside = inputs.log.left_out
    stored = with_feeds(
        lambda service: store_model(
            service.registry,
            trained,
            inputs.serving,
            promote=promote and not by_trial,
            left_out=aside,
        )
    )
    if as_json:
        print_json(presentation.model(stored))
    else:
        _print_measured(stored)
        print_left_out(aside)
        console.print(f"In service: {'yes' if stored.in_service else 'no'}.")
    if promote and by_trial:
        messages.print("Nothing is promoted by replay: `harken models trial` asks the readers.")
    raise typer.Exit(1 if promote and not stored.in_service else 0)


def _train(
    inputs: TrainingInputs, settings: TrainingSettings, window: timedelta, warm_up: timedelta,
    trainer: Trainer | None,
) -> TrainingRun:  # fmt: skip
    log = inputs.log
    with progress("Train", len(log.events)) as report:
        return train_and_measure(
            log.events, settings, window, inputs.model, report,
            slates=log.slates, descriptions=log.descriptions, warm_up=warm_up,
            affinities=log.affinities, trainer=trainer,
        )  # fmt: skip


@models.command("list")
def listed(as_json: Json = False) -> None:
    """List the models, latest first."""
    found = with_feeds(lambda service: service.registry.models.listed())
    if as_json:
        print_json(presentation.models(found))
        return
    if not found:
        console.print("There are no models yet. `harken train` makes one.")
        return
    table = make_table()
    add_names(table, "Model")
    add_numbers(table, "NDCG@10", "MRR")
    add_text(table, "Better than")
    for each in found:
        table.add_row(*_facts(each))
    print_table(table)


@models.command()
def show(model_id: ModelId, as_json: Json = False) -> None:
    """Show the training data and the metrics of a model."""
    found = with_feeds(lambda service: service.registry.models.get(model_id))
    if as_json:
        print_json(presentation.model(found))
        return
    _print_measured(found)
    state = "in service" if found.in_service else "not in service"
    promoted = found.promoted_at and f", last promoted at {found.promoted_at:%Y-%m-%d %H:%M:%S}Z"
    console.print(f"{state.capitalize()}{promoted or ''}. Harken {found.code_version}.")
    if found.erasures:
        console.print(
            f"It may have been trained with events that {found.erasures} erasures removed. "
            "`harken train --promote` makes a new model."
        )
    if found.quarantines:
        console.print(
            f"It may have been trained with events that {found.quarantines} quarantines set aside "
            "since. `harken train --promote` makes a new model."
        )


@models.command()
def promote(model_id: ModelId, as_json: Json = False) -> None:
    """Put a model in service, even if its metrics are not better."""

    async def work(service: FeedService) -> StoredModel:
        await service.registry.models.promote(model_id)
        return await service.registry.models.get(model_id)

    found = with_feeds(work)
    if as_json:
        print_json(presentation.model(found))
    else:
        console.print(f"{escaped(found.id)} is in service.")


@models.command()
def rollback(as_json: Json = False) -> None:
    """Undo the latest promotion: the model before it is in service again, or none."""
    before, now = with_feeds(lambda service: service.registry.models.rollback())
    if as_json:
        print_json({"before": before, "in_service": now})
    else:
        console.print(
            f"{escaped(before)} is no longer in service. Now in service: {escaped(now or 'none')}."
        )


@models.command("export")
def export(
    model_id: ModelId,
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a model to a file, for import into another database."""
    check_new(file, force=force)
    carried = with_feeds(lambda service: service.registry.models.export(model_id))
    with _accessible(file):
        model_files.write(file, carried)
    if as_json:
        print_json({"id": model_id, "file": str(file)})
    else:
        messages.print(f"Wrote {escaped(model_id)} to {escaped(str(file))}.", highlight=False)


@models.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A file that `harken models export` wrote.")],
    as_json: Json = False,
) -> None:
    """Import a model that was trained on another database; `promote` puts it in service."""
    with _accessible(file):
        carried = model_files.read(file)

    async def work(service: FeedService) -> StoredModel:
        return await service.registry.models.get(
            await service.registry.models.import_model(str(file), carried)
        )

    found = with_feeds(work)
    if as_json:
        print_json(presentation.model(found))
    else:
        console.print(f"Imported {escaped(found.id)}.")


@contextmanager
def _accessible(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(Problem("file", f"{file}: {error.strerror}")) from None


def _facts(found: StoredModel) -> list[str]:
    measured: dict[str, Any] = found.metrics.get("rankings", {}).get(CANDIDATE, {})
    verdict: dict[str, Any] = found.metrics.get("verdict", {})
    in_service = ", in service" if found.in_service else ""
    if found.erasures:
        in_service += ", knows erased readers"
    if found.quarantines:
        in_service += ", knows what is set aside"
    until = f"until {str(found.data.get('until', ''))[:10]}"
    than = escaped(str(verdict.get("than", ""))) if verdict.get("is_better") else "nothing"
    return [
        f"{escaped(found.id)}\n{escaped(until)}{in_service}",
        *(f"{measured[name]:.3f}" if name in measured else "" for name in ("ndcg@10", "mrr")),
        "cannot be read" if found.problem else than,
    ]


def _print_measured(found: StoredModel) -> None:
    data = found.data
    sources = data.get("sources", {})
    slates = f", {sources['slates']} of them from slates" if sources.get("slates") else ""
    grown = ", grown from the personal score" if found.features.get("base") else ""
    console.print(f"{escaped(found.id)}: trained on {data.get('examples')} choices{slates}{grown}.")
    count = data.get("impressions")
    drawn = f"{count} of {data['measurable']}" if "measurable" in data else f"{count}"
    console.print(
        f"Training data: {data.get('from')} to {data.get('until')}; "
        f"measured until {data.get('measured_until')} on {drawn} impressions."
    )
    table = make_table()
    add_names(table, "Ranking")
    add_numbers(table, *map(str.upper, METRICS))
    for name, values in found.metrics.get("rankings", {}).items():
        table.add_row(escaped(name), *(f"{values.get(each, 0):.3f}" for each in METRICS))
    print_table(table)
    _print_objectives(found.metrics.get("objectives", {}))
    if reason := found.metrics.get("verdict", {}).get("reason"):
        console.print(f"{escaped(str(reason))}.", highlight=False)


def _print_objectives(measured: dict[str, dict[str, Any]]) -> None:
    """Print how well the heads are calibrated, and why there is none for an objective."""
    heads = {name: each for name, each in measured.items() if "ece" in each}
    if heads:
        table = make_table("Objectives, on what was measured")
        add_names(table, "Objective")
        add_numbers(table, "Cases", "Share", "ECE", "By chance", "Log loss", "Of the share")
        for name, each in heads.items():
            figures = ("share", "ece", "by_chance", "log_loss", "log_loss_of_share")
            cells = (f"{each.get(figure, 0):.3f}" for figure in figures)
            table.add_row(escaped(name), str(each.get("cases")), *cells)
        print_table(table)
    for name, each in measured.items():
        if why := each.get("problem"):
            console.print(f"{escaped(name)}: {escaped(str(why))}.", highlight=False)
