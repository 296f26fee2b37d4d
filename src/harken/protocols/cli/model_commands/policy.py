"""`harken evaluate policy`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from harken.domain.feedback import FeedbackAction
from harken.errors import InvalidInput, Problem, several
from harken.protocols.cli.data_commands.log_options import (
    AsWritten,
    Delimiter,
    Encoding,
    Format,
    MaxSize,
    bar_of_bytes,
    print_account,
)
from harken.protocols.cli.running import Json, console, print_json, with_feeds
from harken.protocols.cli.tables import (
    add_intervals,
    add_names,
    add_numbers,
    interval,
    make_table,
    print_table,
)
from harken.services.evaluation.bandit_logs import (
    FIELDS,
    BanditLog,
    EstimationTask,
    parse_columns,
    read_log,
    target_from_log,
    uniform_target,
)
from harken.services.evaluation.conclusion import conclusion
from harken.services.evaluation.off_policy import (
    LEAST_EFFECTIVE,
    Estimate,
    PolicyValue,
    WeightDiagnostics,
    evaluate_policy,
    mean_reward,
)
from harken.services.evaluation.slate_policies import (
    SlateLog,
    SlateValue,
    check_target,
    evaluate_slates,
)
from harken.services.feed.service import FeedService
from harken.services.record.files.files import Reading

UNIFORM = "uniform"
REWARDS = (FeedbackAction.ENGAGE, FeedbackAction.VIEW)

TITLES = {
    "ips": "IPS",
    "snips": "SNIPS",
    "dr": "doubly robust",
    "item-position": "item-position",
    "rips": "RIPS",
}

Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="FIELD=COLUMN",
        help=f"The column that has a field, one of {', '.join(FIELDS)}; may be repeated.",
    ),
]


def evaluate(
    log: Annotated[
        Path | None,
        typer.Option(help="A log of shown items with rewards and propensities; may be gzipped."),
    ] = None,
    from_slates: Annotated[
        bool, typer.Option("--from-slates", help="Use the slates of the configured database.")
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(
            help="The policy to estimate: uniform, or a file with its log, in the form of --log."
        ),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="With --from-slates: the temperature to estimate.")
    ] = None,
    feed: Annotated[
        str | None, typer.Option(help="With --from-slates: use slates of this feed only.")
    ] = None,
    reward: Annotated[
        str, typer.Option(help=f"With --from-slates: the rewarded action, {' or '.join(REWARDS)}.")
    ] = FeedbackAction.ENGAGE,
    least: Annotated[
        float, typer.Option(min=1, help="The least effective sample size for an estimate.")
    ] = LEAST_EFFECTIVE,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap of the intervals.")] = 0,
    column: Columns = None,
    as_written: AsWritten = False,
    format_name: Format = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    max_size: MaxSize = None,
    as_json: Json = False,
) -> None:
    """Estimate the reward of another policy from the log of the policy that was in use.

    The logged policy must be randomised, and its propensities must be known. If the log does not
    allow an estimate, the command fails and explains why. Exit code 1 also if lines were refused.
    """
    if (log is None) != from_slates:
        raise InvalidInput(Problem("log", "give either --log FILE or --from-slates"))
    if log is None:
        _check_slates(reward, column, format_name)
        policy = check_target(target, temperature)
        slates = with_feeds(lambda service: _load_slates(service, feed, reward))
        served = slates.usable_slates()
        value = evaluate_slates(served, policy, slates.left_out, least_effective=least, seed=seed)
        _show_slates(value, as_json=as_json)
        return
    if target is None or temperature is not None or feed is not None:
        message = "with --log, give --target uniform or --target FILE, and no --temperature, --feed"
        raise InvalidInput(Problem("target", message))
    columns = parse_columns(column or ())
    reading = Reading.parse(format_name, delimiter, encoding, max_size)
    logged = _read(log, columns, reading, as_written=as_written)
    other = None
    if target != UNIFORM:
        other = _read(Path(target), columns, reading, as_written=as_written)
    question = uniform_target(logged) if other is None else target_from_log(logged, other)
    found = evaluate_policy(question.rows, question.target, least_effective=least, seed=seed)
    own = None
    if other is not None:
        own = mean_reward(other.reward_array(), other.user_numbers(), seed=seed)
    _show(found, question, own, (logged, other), as_json=as_json)
    raise typer.Exit(1 if logged.account.refused or (other and other.account.refused) else 0)


def _check_slates(reward: str, column: list[str] | None, format_name: str | None) -> None:
    if reward not in REWARDS:
        raise InvalidInput(Problem("reward", f"must be {' or '.join(REWARDS)}"))
    if column or format_name:
        raise InvalidInput(Problem("column", "and --format can be used with --log only"))


def _read(
    file: Path, columns: Mapping[str, str], reading: Reading, *, as_written: bool
) -> BanditLog:
    bar = bar_of_bytes(file)
    with bar:
        task = bar.add_task("")
        return read_log(
            file, columns, reading,
            lambda done, size: bar.update(task, completed=done, total=size),
            as_written=as_written,
        )  # fmt: skip


async def _load_slates(service: FeedService, feed: str | None, reward: str) -> SlateLog:
    slates = SlateLog()
    async for page in service.ledger.sampled(feed):
        for slate in page:
            slates.add(slate)
    async for entries in service.record.entries(counting=True):
        for entry in entries:
            if entry.action == reward:
                slates.reward(entry.request_id, entry.kblock_id)
    return slates


def _show(
    found: PolicyValue,
    question: EstimationTask,
    own: Estimate | None,
    logs: tuple[BanditLog, BanditLog | None],
    *,
    as_json: bool,
) -> None:
    given = [each for each in logs if each is not None]
    said = conclusion(found.logged, found.estimates, found.weighing, "a row")
    if as_json:
        refusals = [refusal for each in given for refusal in each.account.refusals]
        print_json(
            {
                **found.as_json(),
                "conclusion": said,
                "target": {"by": question.target_by, "own": own and own.as_json()},
                "columns": given[0].columns,
                "records": sum(each.account.records for each in given),
                "refused": sum(each.account.refused for each in given),
                "refusals": refusals,
                "notes": [each.account.notes for each in given],
            }
        )
        return
    for each in given:
        print_account(each.account)
    columns = (f"{column} as {name}" for name, column in given[0].columns.items() if column != name)
    console.print(f"Columns read: {escape(', '.join(columns) or 'by their names')}.")
    console.print(f"{found.rows} rows in the log; {found.rewarded} have a reward.")
    console.print(f"The target is given by: {escape(question.target_by)}.")
    rows = {"logged policy": found.logged} | _titled(found.estimates)
    if own is not None:
        rows["log of the target"] = own
    _print_table("Mean reward per row", rows)
    _print_weighing(found.weighing, found.rows)
    if found.unseen:
        console.print(f"The log never shows {found.unseen:.2%} of what the target shows.")
    console.print(said, highlight=False)


def _show_slates(found: SlateValue, *, as_json: bool) -> None:
    said = conclusion(found.logged, found.estimates, found.weighing, "a page")
    if as_json:
        print_json(found.as_json() | {"conclusion": said})
        return
    console.print(
        f"{several(found.slates, 'slate')} of {several(found.users, 'reader')}; "
        f"{found.rewarded} with a reward."
    )
    for why, count in found.left_out.items():
        console.print(f"Left out: {count} {why}.")
    _print_table(
        "Rewarded items per page", {"logged policy": found.logged} | _titled(found.estimates)
    )
    _print_weighing(found.weighing, found.slates)
    console.print(said, highlight=False)


def _titled(found: Mapping[str, Any]) -> dict[str, Any]:
    return {TITLES[name]: each for name, each in found.items()}


def _print_table(title: str, rows: Mapping[str, Estimate]) -> None:
    table = make_table(title)
    add_names(table, "By")
    add_numbers(table, "Estimate")
    add_intervals(table, "95 % interval")
    for name, (value, (low, high)) in rows.items():
        table.add_row(name, f"{value:.5f}", interval(low, high, ".5f"))
    print_table(table)


def _print_weighing(found: WeightDiagnostics, count: int) -> None:
    value, (low, high) = found.mean
    console.print(
        f"Effective sample size: {found.effective:.0f} of {count}. Largest weight: "
        f"{found.largest:.1f}. Mean weight, which should be 1: {value:.3f} ({interval(low, high)})."
    )
    if not low - 1e-9 <= 1 <= high + 1e-9:
        console.print(
            "[yellow]The mean weight is not 1: the propensities are wrong, or the target shows "
            "items that the logged policy could not show.[/]"
        )
