"""Tables that lose nothing: what does not fit goes on below, and a name or number is never cut."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.measure import Measurement
from rich.table import Column, Table

from harken.protocols.cli.running import WIDE, console

LEAST = 20
"""Characters that text needs on a line, to be read with ease."""
SMALLEST = 8
"""Characters that it gets where there is no room: `0.123 to` is one line."""


def make_table(title: str | None = None) -> Table:
    """Return a table without columns."""
    return Table(title=title, title_justify="left")


def add_text(table: Table, heading: str) -> None:
    """Add a column of text, which goes on below where there is little room."""
    table.add_column(heading, overflow="fold")


def add_names(table: Table, heading: str) -> None:
    """Add a column whose lines stay whole."""
    table.add_column(heading, no_wrap=True)


def add_numbers(table: Table, *headings: str) -> None:
    """Add columns of numbers, whose lines stay whole."""
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)


def add_intervals(table: Table, *headings: str) -> None:
    """Add columns of intervals, which go on below where there is little room."""
    for heading in headings:
        table.add_column(heading, justify="right", overflow="fold")


def interval(low: float, high: float, form: str = ".3f") -> str:
    """Write an interval."""
    return f"{low:{form}} to {high:{form}}"


def fits(table: Table) -> bool:
    """Whether a table can be read with ease on this terminal."""
    widths = (
        _widest(column) if column.no_wrap else min(_widest(column), LEAST)
        for column in table.columns
    )
    return sum(widths) + 3 * len(table.columns) + 1 <= console.width


def print_table(table: Table) -> None:
    """Print a table. Where lines that stay whole do not fit, the terminal breaks them."""
    for column in table.columns:
        widest = _widest(column)
        column.min_width = widest if column.no_wrap else min(widest, SMALLEST)
    console.print(table)


def _widest(column: Column) -> int:
    cells: Sequence[RenderableType] = [column.header, *column.cells]
    options = console.options.update(width=WIDE)
    return max(Measurement.get(console, options, cell).maximum for cell in cells)
