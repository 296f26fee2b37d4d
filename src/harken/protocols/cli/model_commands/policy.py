"""`harken evaluate policy`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from harken.domain.feedback import FeedbackAction
from harken.errors import InvalidInput, Problem
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
        help=f"Which column is a field, of {', '.join(FIELDS)}; may be repeated.",
    ),
]


def evaluate(
    log: Annotated[
        Path | None,
        typer.Option(help="What was shown, with rewards and propensities; gzip or not."),
    ] = None,
    from_slates: Annotated[
        bool, typer.Option("--from-slates", help="Take the slates of the configured database.")
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(help="The policy to estimate: uniform, or a file like --log of its own."),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="With --from-slates: estimate this temperature.")
    ] = None,
    feed: Annotated[
        str | None, typer.Option(help="With --from-slates: those of this feed only.")
    ] = None,
    reward: Annotated[
        str, typer.Option(help=f"With --from-slates: {' or '.join(REWARDS)}.")
    ] = FeedbackAction.ENGAGE,
    least: Annotated[
        float, typer.Option(min=1, help="The least effective sample size to answer by.")
    ] = LEAST_EFFECTIVE,
    seed: Annotated[int, typer.Option(min=0, help="What intervals are drawn with.")] = 0,
    column: Columns = None,
    as_written: AsWritten = False,
    format_name: Format = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    max_size: MaxSize = None,
    as_json: Json = False,
) -> None:
    """Estimate what another policy would have earned, by what this one showed.

    Needs a policy that left something to chance, and the propensities of what it showed. Refuses
    where a log cannot tell, and says why. Exit code 1 where lines were refused too.
    """
    if (log is None) != from_slates:
        raise InvalidInput(Problem("log", "give either --log FILE or --from-slates"))
    if log is None:
        _check_slates(reward, column, format_name)
        wanted = check_target(target, temperature)
        slates = with_feeds(lambda service: _collected(service, feed, reward))
        served = slates.usable_slates()
        value = evaluate_slates(served, wanted, slates.left_out, least_effective=least, seed=seed)
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
        raise InvalidInput(Problem("column", "and --format go with --log only"))


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


async def _collected(service: FeedService, feed: str | None, reward: str) -> SlateLog:
    slates = SlateLog()
    async for page in service.ledger.sampled(feed):
        for slate in page:
            slates.add(slate)
    async for entries in service.record.entries():
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
    read = [each for each in logs if each is not None]
    if as_json:
        refusals = [refusal for each in read for refusal in each.account.refusals]
        print_json(
            {
                **found.as_json(),
                "target": {"by": question.target_by, "own": own and own.as_json()},
                "columns": read[0].columns,
                "records": sum(each.account.records for each in read),
                "refused": sum(each.account.refused for each in read),
                "refusals": refusals,
                "notes": [each.account.notes for each in read],
            }
        )
        return
    for each in read:
        print_account(each.account)
    columns = (f"{column} as {name}" for name, column in read[0].columns.items() if column != name)
    console.print(f"Columns read: {escape(', '.join(columns) or 'by their names')}.")
    console.print(f"{found.rows} rows of the log, {found.rewarded} of them rewarded.")
    console.print(f"The target is known by: {escape(question.target_by)}.")
    rows = {"the log, as it is": found.logged} | _titled(found.estimates)
    if own is not None:
        rows["the target's own log"] = own
    _print_table("Mean reward of a row", rows)
    _print_weighing(found.weighing, found.rows)
    if found.unseen:
        console.print(f"The log never shows {found.unseen:.2%} of the target.")


def _show_slates(found: SlateValue, *, as_json: bool) -> None:
    if as_json:
        print_json(found.as_json())
        return
    console.print(
        f"{found.slates} slates of {found.users} readers, {found.rewarded} of them rewarded."
    )
    for why, count in found.left_out.items():
        console.print(f"Left out: {count} {why}.")
    _print_table(
        "Rewarded items on a page", {"the log, as it is": found.logged} | _titled(found.estimates)
    )
    _print_weighing(found.weighing, found.slates)


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
            "[yellow]The mean weight is not 1: the propensities are not what they are said to be, "
            "or the target shows what the log could not.[/]"
        )
