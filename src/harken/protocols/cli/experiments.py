"""`harken experiment`: create, start, stop and decide experiments, and see what they found."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from harken.errors import InvalidInput, Problem
from harken.protocols.api.experiments import presentation
from harken.protocols.cli.experiment_plot import check_plot
from harken.protocols.cli.experiment_plot import plot as draw_plot
from harken.protocols.cli.experiment_results import (
    print_allocations,
    print_power,
    print_results,
)
from harken.protocols.cli.running import Json, console, escaped, print_json, with_feeds
from harken.protocols.cli.tables import (
    add_names,
    add_numbers,
    add_text,
    make_table,
    print_table,
)
from harken.services.experiments.adaptive.schedule import this_worker
from harken.services.experiments.definitions import Experiment, State

MOST_BYTES = 1 << 20

experiment = typer.Typer(
    help="Compare rankings on readers: create, start, stop and decide experiments.",
    no_args_is_help=True,
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The id of an experiment.")]


def install(app: typer.Typer) -> None:
    """Add the group `experiment`."""
    app.add_typer(experiment, name="experiment")


@experiment.command()
def create(
    file: Annotated[
        typer.FileText,
        typer.Argument(help="The definition, as YAML or JSON; - for standard input."),
    ],
    as_json: Json = False,
) -> None:
    """Store a definition as a draft. It replaces a draft of the same id."""
    fields = _read(file)
    _print(with_feeds(lambda service: service.experiments.create(fields)), as_json=as_json)


@experiment.command()
def start(experiment_id: Id, as_json: Json = False) -> None:
    """Start the latest version. What was started does not change."""
    found = with_feeds(lambda service: service.experiments.start(experiment_id))
    _print(found, as_json=as_json)


@experiment.command()
def stop(
    experiment_id: Id,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    as_json: Json = False,
) -> None:
    """Stop the running version; the windows of readers that are in it still complete."""
    found = with_feeds(lambda service: service.experiments.stop(experiment_id, reason))
    _print(found, as_json=as_json)


@experiment.command()
def decide(
    experiment_id: Id,
    arm: Annotated[str, typer.Argument(help="The arm that was chosen.")],
    note: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    as_json: Json = False,
) -> None:
    """Keep which arm was chosen, after the experiment was stopped."""
    found = with_feeds(lambda service: service.experiments.decide(experiment_id, arm, note))
    _print(found, as_json=as_json)


@experiment.command()
def status(experiment_id: Id, as_json: Json = False) -> None:
    """Show the latest version, and how many readers came into each arm."""

    async def read(service: Any) -> tuple[Experiment, dict[str, int]]:
        found = await service.experiments.store.get(experiment_id)
        return found, await service.experiments.store.exposed(found)

    found, exposed = with_feeds(read)
    if as_json:
        print_json(presentation.experiment(found) | {"exposed": exposed})
        return
    _print(found, as_json=False)
    table = make_table()
    add_names(table, "Arm")
    add_text(table, "What it is")
    add_numbers(table, "Share", "Readers")
    for arm in found.definition.arms:
        what = arm.model or arm.ranking or str(arm.value if arm.value is not None else arm.name)
        share = f"{found.shares[arm.name]:.1%}"
        table.add_row(escaped(arm.name), escaped(what), share, str(exposed.get(arm.name, 0)))
    print_table(table)
    print_allocations(presentation.experiment(found)["allocations"])


@experiment.command()
def results(
    experiment_id: Id,
    version: Annotated[int | None, typer.Option(help="Default: the latest.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Write the effect over time to this .png or .svg file.", dir_okay=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the results as of now; they stay valid however often you look."""
    check_plot(plot)
    found = with_feeds(
        lambda service: service.experiments.results(experiment_id, version)
    ).as_json()
    if as_json:
        print_json(found)
    else:
        print_results(found)
    if plot is not None:
        draw_plot(found, plot)


@experiment.command()
def allocate(experiment_id: Id, as_json: Json = False) -> None:
    """Compute the next allocation of an adaptive experiment now, at most once a day.

    `harken serve` does it by itself.
    """
    worker = f"harken experiment allocate, {this_worker()}"

    async def next_version(service: Any) -> tuple[Experiment, bool]:
        changed = await service.experiments.allocate(experiment_id, worker)
        return await service.experiments.store.latest_running(experiment_id), changed is not None

    found, is_changed = with_feeds(next_version)
    if as_json:
        print_json(presentation.experiment(found) | {"changed": is_changed})
        return
    if not is_changed:
        console.print(
            "The allocation stays as it is: too few readers have closed windows, or nothing new "
            "is known."
        )
    print_allocations(presentation.experiment(found)["allocations"])


@experiment.command()
def power(
    experiment_id: Id,
    effect: Annotated[
        float | None,
        typer.Option(help="How many readers this effect needs, in the unit of the metric."),
    ] = None,
    version: Annotated[int | None, typer.Option(help="Default: the latest.")] = None,
    as_json: Json = False,
) -> None:
    """Show, before the start, which effect the planned readers find, and in how many days."""
    found = with_feeds(
        lambda service: service.experiments.power(experiment_id, version, effect)
    ).as_json()
    if as_json:
        print_json(found)
    else:
        print_power(found)


@experiment.command("list")
def list_(
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    as_json: Json = False,
) -> None:
    """List all experiments, the latest created first."""
    found = with_feeds(lambda service: service.experiments.store.listed())
    chosen = [each for each in found if state is None or each.state is state]
    if as_json:
        print_json({"experiments": [presentation.experiment(each) for each in chosen]})
        return
    table = make_table()
    add_names(table, "Id")
    add_numbers(table, "Version")
    for heading in ("State", "Kind", "Feeds", "Arms"):
        add_text(table, heading)
    for each in chosen:
        given = each.definition
        arms = ", ".join(arm.name for arm in given.arms)
        feeds = ", ".join(given.feeds) or "flag"
        cells = (each.state.value, given.kind.value, feeds, arms)
        table.add_row(escaped(each.id), str(each.version), *map(escaped, cells))
    print_table(table)


def _print(found: Experiment, *, as_json: bool) -> None:
    if as_json:
        print_json(presentation.experiment(found))
        return
    because = "" if found.stop_reason is None else f", {found.stop_reason}"
    console.print(escaped(f"{found.name}: {found.state.value}{because}"))


def _read(file: Any) -> dict[str, Any]:
    name = Path(file.name).name
    try:
        text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise InvalidInput(Problem(name, "has more than 1 MiB"))
        fields = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise InvalidInput(Problem(name, f"is not UTF-8: {error}")) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = " ".join(str(error).split())
        raise InvalidInput(Problem(name, f"is neither YAML nor JSON: {first}")) from None
    if not isinstance(fields, dict) or not all(isinstance(each, str) for each in fields):
        raise InvalidInput(Problem(name, "must be an object with the fields of a definition"))
    return fields
