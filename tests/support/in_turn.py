"""Which of the two databases a test of REST or of the command line runs on: they take turns.

What the database does is tested by tests/contract, each test on both. A route or a command adds
little to that, so the tests of a file take SQLite and PostgreSQL in turn: each file meets both, in
half the time. Some files stay on both: those about what may be stored, and about much of it.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FOLDERS = frozenset({TESTS / "api", TESTS / "cli"})
ON_BOTH = frozenset({
    "test_archive", "test_bad_input", "test_extremes", "test_import", "test_quarantine",
    "test_search", "test_stored_text", "test_traces", "test_unreadable_rows",
})  # fmt: skip


def left_out(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    """Return the tests that run on the other database only."""
    twins: defaultdict[str, dict[str, pytest.Item]] = defaultdict(dict)
    for item in items:
        if item.path.parent in FOLDERS and item.path.stem not in ON_BOTH:
            kind = kind_of(item)
            if kind is not None:
                twins[item.nodeid.replace(kind, "")][kind] = item
    turns: Counter[Path] = Counter()
    left = set()
    for pair in twins.values():
        if len(pair) == 2:
            [path] = {each.path for each in pair.values()}
            turns[path] += 1
            left.add(pair["sqlite" if turns[path] % 2 else "postgresql"])
    return left


def kind_of(item: pytest.Item) -> str | None:
    """Return the database that a parameter of a test names."""
    callspec = getattr(item, "callspec", None)
    kind = None if callspec is None else callspec.params.get("database_kind")
    return None if kind is None else str(kind)
