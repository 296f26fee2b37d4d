"""`harken config check`."""

from typing import Annotated

import typer
from rich.markup import escape

from harken.config import Settings
from harken.errors import InvalidSettings, printable
from harken.protocols.cli.running import Json, console, print_json
from harken.protocols.cli.tables import add_names, add_text, make_table, print_table
from harken.protocols.http.security import check_exposure
from harken.settings_check import DEFAULT, SettingState, check_settings

config = typer.Typer(help="Check the settings.", no_args_is_help=True)


def install(app: typer.Typer) -> None:
    """Add the group `config`."""
    app.add_typer(config, name="config")


@config.callback()
def _group() -> None:
    """Check the settings."""


@config.command()
def check(
    is_brief: Annotated[
        bool, typer.Option("--set", help="Only the settings that are set, or wrong.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show each setting, where its value comes from, and what is wrong; no secret is shown.

    Connects to nothing. Exit code 1 if something is wrong.
    """
    states = check_settings()
    wrong = [each for each in states if each.problem is not None]
    remark = None if wrong else _remark()
    shown = [each for each in states if not is_brief or each.source != DEFAULT or each.problem]
    if as_json:
        settings = [each._asdict() for each in shown]
        print_json({"settings": settings, "problems": len(wrong), "remark": remark})
    else:
        _print(shown, wrong, remark)
    raise typer.Exit(1 if wrong else 0)


def _remark() -> str | None:
    try:
        check_exposure(Settings.load())
    except InvalidSettings as error:
        return f"{error} (keys of the database were not looked for)"
    return None


def _print(shown: list[SettingState], wrong: list[SettingState], remark: str | None) -> None:
    table = make_table()
    add_names(table, "Setting")
    add_text(table, "Value")
    add_names(table, "From")
    for each in shown:
        value = "" if each.value is None else each.value
        table.add_row(each.name, escape(printable(value)), each.source)
    if shown:
        print_table(table)
    for each in wrong:
        told = str(each.problem)
        named = told if each.name in told else f"{each.name}: {told}"
        console.print(escape(printable(named)), highlight=False)
    if remark:
        console.print(escape(remark), highlight=False)
    console.print(f"{len(wrong)} problems.", highlight=False)
