"""The log in files, for engines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class EventFiles(NamedTuple):
    """The log in files, and what is known besides it, as tables of pyarrow.

    files: Parquet files with the columns of the archive
    created: `kblock`, `created_at` (microseconds since 1970), where it is known
    withheld: `reader`, `until`: what they did before this time counts as a guest's
    readers, sessions: `reader`; `session`: what they did does not count
    since: events from before this time are left out (microseconds since 1970)
    """

    files: Sequence[Path]
    created: Any
    withheld: Any
    readers: Any
    sessions: Any
    since: int | None = None
