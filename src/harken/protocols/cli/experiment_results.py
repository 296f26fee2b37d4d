"""The results of an experiment as tables in the terminal."""

from typing import Any

from harken.errors import several
from harken.protocols.cli.running import console, escaped
from harken.protocols.cli.tables import (
    add_intervals,
    add_names,
    add_numbers,
    add_text,
    interval,
    make_table,
    print_table,
)


def print_results(found: dict[str, Any]) -> None:
    """Print the verdicts, and a table of all comparisons."""
    name = f"{found['id']}, version {found['version']}: {found['state']}"
    readers, joined = found["readers"], found["joined"]
    console.print(escaped(name))
    for arm, verdict in found["verdicts"].items():
        console.print(f"[bold]{escaped(arm)}[/]: {escaped(verdict['text'])}")
    _print_arms(found)
    print_allocations(found["allocations"])
    _print_comparisons(found)
    for each in found["guardrails"]:
        said = f"{each['arm']}: {each['metric']} is {each['state']} (margin {each['margin']:g})"
        console.print(f"Guardrail {escaped(said)}")
    console.print(
        f"{several(readers['exposed'], 'reader')} came in, the windows of {readers['closed']} are "
        f"closed. {several(joined['by_request'], 'event')} joined by their page, "
        f"{joined['by_reader']} by their reader; {joined['elsewhere']} were on other pages."
    )
    if readers.get("without_acts") is not None:
        idle = several(readers["without_acts"], "reader")
        console.print(f"{idle} acted on no item of one side alone.")
    if found["testers"]:
        console.print(f"{found['testers']} testers are left out.")


def print_allocations(versions: list[dict[str, Any]]) -> None:
    """Print the versions of an adaptive allocation; nothing for a fixed one."""
    if not versions:
        return
    table = make_table()
    add_numbers(table, "Allocation")
    add_text(table, "In force from")
    add_numbers(table, *(escaped(arm) for arm in versions[0]["shares"]), "From readers")
    add_text(table, "Computed by")
    for each in versions:
        shares = (f"{share:.1%}" for share in each["shares"].values())
        begins = f"{each['in_force_at'][:16].replace('T', ' ')} UTC"
        worker = escaped(each["computed_by"])
        table.add_row(str(each["version"]), begins, *shares, str(each["readers"]), worker)
    print_table(table)


def print_power(found: dict[str, Any]) -> None:
    """Print what an experiment can find."""
    relative = "" if found["relative"] is None else f" ({found['relative']:.1%} of it)"
    days = "an unknown number of days"
    if found["days"] is not None:
        days = f"about {found['days']} days"
    console.print(
        f"{found['readers']} readers find a difference of {found['effect']:.4g} in "
        f"{escaped(found['metric'])}{relative} with a probability of {found['power']:.0%}, "
        f"in {days}."
    )
    console.print(f"Computed from {found['measured_on']} readers of the latest days.")


def _print_arms(found: dict[str, Any]) -> None:
    """Print the arms with their readers, and whether their sample ratio is as planned."""
    if not found["arms"]:
        return
    table = make_table()
    add_names(table, "Arm")
    add_numbers(table, "Share", "Readers", "Compared")
    for arm in found["arms"]:
        share = f"{arm['planned_share']:.1%}"
        table.add_row(escaped(arm["name"]), share, str(arm["exposed"]), str(arm["compared"]))
    print_table(table)
    for name, test in (("Sample ratio", "sample_ratio"), ("Quarantine by arm", "quarantine")):
        ratio = found[test]
        alarm = f"alarm at reader {ratio['at_reader']}" if ratio["fired"] else "no alarm"
        console.print(f"{name}: {alarm} (p = {ratio['p_value']:.3g} at all looks)")


def _print_comparisons(found: dict[str, Any]) -> None:
    table = make_table()
    add_names(table, "Arm")
    add_text(table, "Metric")
    add_numbers(table, "Readers", "Control", "Arm", "Effect")
    add_intervals(table, "At all looks", "At one look")
    for each in found["comparisons"]:
        decides = " (decides)" if each["role"] == "primary" else ""
        table.add_row(
            escaped(each["arm"]), f"{each['metric']}{decides}", str(each["readers"]),
            _number(each["control_value"]), _number(each["value"]), _number(each["effect"]),
            _interval(each["sequence"]), _interval(each["fixed_interval"]),
        )  # fmt: skip
    print_table(table)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _interval(bounds: Any) -> str:
    low, high = bounds
    if low is None or high is None:
        return "–"
    return interval(low, high, ".4g")
