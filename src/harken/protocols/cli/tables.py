"""Tables that wrap text to the width of the terminal; names and numbers are never cut."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.measure import Measurement
from rich.table import Column, Table

from harken.protocols.cli.running import WIDE, console

LEAST = 20
"""Preferred least width of a text column, in characters."""
SMALLEST = 8
"""Least width of a text column on a narrow terminal: `0.123 to` fits on one line."""


def make_table(title: str | None = None) -> Table:
    """Return a table without columns."""
    return Table(title=title, title_justify="left")


def add_text(table: Table, heading: str) -> None:
    """Add a column of text, which is wrapped on a narrow terminal."""
    table.add_column(heading, overflow="fold")


def add_names(table: Table, heading: str) -> None:
    """Add a column whose lines are not wrapped."""
    table.add_column(heading, no_wrap=True)


def add_numbers(table: Table, *headings: str) -> None:
    """Add columns of numbers, whose lines are not wrapped."""
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)


def add_intervals(table: Table, *headings: str) -> None:
    """Add columns of intervals, which are wrapped on a narrow terminal."""
    for heading in headings:
        table.add_column(heading, justify="right", overflow="fold")


def interval(low: float, high: float, form: str = ".3f") -> str:
    """Return an interval as text, such as `0.123 to 0.456`."""
    return f"{low:{form}} to {high:{form}}"


def fits(table: Table) -> bool:
    """Return whether a table fits the terminal with the preferred widths of its columns."""
    widths = (
        _widest(column) if column.no_wrap else min(_widest(column), LEAST)
        for column in table.columns
    )
    return sum(widths) + 3 * len(table.columns) + 1 <= console.width


def print_table(table: Table) -> None:
    """Print a table. The terminal breaks lines that are not wrapped and do not fit."""
    for column in table.columns:
        widest = _widest(column)
        column.min_width = widest if column.no_wrap else min(widest, SMALLEST)
    console.print(table)


def _widest(column: Column) -> int:
    cells: Sequence[RenderableType] = [column.header, *column.cells]
    options = console.options.update(width=WIDE)
    return max(Measurement.get(console, options, cell).maximum for cell in cells)
