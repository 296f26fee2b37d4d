"""Files of events that tests write, and what is read of them."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harken.domain.feedback import Interaction
from harken.services.record.files.files import Reading
from harken.services.record.files.log_reader import ImportSummary, LogReader
from harken.services.record.files.mapping import LogMapping

HEADER = "timestamp,user_id,item_id,event_type"
TEN = "2024-01-01T10:00:00Z"
AT_TEN = datetime(2024, 1, 1, 10, tzinfo=UTC)
ROW = f"{TEN},u{{}},k1,VIEW"


class Found:
    """What was read of a file."""

    def __init__(
        self, path: Path, timezone: str | None, *, as_written: bool, **reading: Any
    ) -> None:
        mapping = LogMapping.parse((), (), timezone, as_written=as_written)
        reader = LogReader(mapping)
        self.events: list[Interaction] = []
        for chunk in reader.chunks(path, Reading.parse(**reading)):
            self.events += [event for _, event in chunk.events]
        self.summary: ImportSummary = reader.summary
        self.summary.added = len(self.events)
        assert self.summary.imbalance() is None

    @property
    def users(self) -> list[str]:
        return [event.user_id for event in self.events]

    @property
    def refused(self) -> dict[int, str]:
        return dict(self.summary.refusals)


def table(*rows: str, header: str = HEADER) -> str:
    return "\n".join((header, *rows)) + "\n"


def parquet(columns: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def lines_of(*texts: str) -> str:
    return "\n".join(texts) + "\n"
