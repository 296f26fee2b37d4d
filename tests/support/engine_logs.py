"""Logs for the engines: what is hard for relations is frequent in them, and a walk says what is
right."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harken.domain.feedback import GUEST
from harken.services.features.names import NAMES
from harken.services.features.traces import Matrix
from harken.services.learning.engines.choices import ChoiceRange
from harken.services.learning.engines.training_rows import RELATIONAL
from harken.services.learning.event_files import EventFiles
from harken.services.learning.impressions import Event, Window
from harken.services.learning.point_in_time import Description, PointInTimeReplay
from harken.services.readers.affinities import AffinitySettings
from harken.services.readers.history import Touch

DAY = 86_400_000_000
BEGIN = 1_700_000_000_000_000
WARM_UP = timedelta(days=2)
ACTIONS = ("view", "view", "engage", "dismiss", "contradict")
CREATED = {"k1": BEGIN - 5_000_000, "k150": BEGIN + 20 * DAY, "k90": BEGIN + 9 * DAY}
"""Times of creation: before the first event, after all, and in between."""
SMALL_MEMORY = AffinitySettings(touches=20)
EVERYTHING = ChoiceRange(
    0, BEGIN + 19 * DAY, 100_000, 100_000, 0, WARM_UP // timedelta(microseconds=1)
)


class Row(NamedTuple):
    """An event with its id, as the archive has it."""

    id: str
    touch: Touch
    session: str | None = None


def made_log(seed: int, events: int = 1_500, days: int = 20, readers: int = 15) -> list[Row]:
    """Make a log with guests, ties in time, dismissals, repeats and readers who forget."""
    draw = np.random.default_rng(seed)
    # Whole minutes, so that some events have the same time; ids are in the order of events.
    minutes = np.sort(draw.integers(0, days * 1_440, events))
    names = [GUEST, *(f"r{number}" for number in range(readers))]
    rows = []
    for number, minute in enumerate(minutes.tolist()):
        newest = minute / 144  # ten new K-Blocks a day
        kblock = int(max(0.0, newest - abs(draw.normal()) * 30)) + int(draw.integers(0, 25))
        dwell = int(draw.integers(0, 60_000)) if draw.random() < 0.5 else None
        touch = Touch(
            names[draw.integers(0, len(names))], f"k{kblock}",
            ACTIONS[draw.integers(0, len(ACTIONS))], None, dwell, BEGIN + minute * 60_000_000,
        )  # fmt: skip
        rows.append(Row(f"{number:06d}", touch, f"s{number % 7}"))
    return rows


def written(rows: Sequence[Row], folder: Path, files: int = 2) -> EventFiles:
    """Write a log to Parquet files; each has a part of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = []
    for part in range(files):
        path = folder / f"day={part}" / "events.parquet"
        path.parent.mkdir()
        some = rows[part::files]
        columns: Mapping[str, Any] = {
            "interaction_id": pa.array([each.id for each in some], pa.string()),
            "user_id": pa.array([each.touch.user_id for each in some], pa.string()),
            "kblock_id": pa.array([each.touch.kblock_id for each in some], pa.string()),
            "action": pa.array([each.touch.action for each in some], pa.string()),
            "dwell_time_ms": pa.array([each.touch.dwell_time_ms for each in some], pa.int64()),
            "session_id": pa.array([each.session for each in some], pa.string()),
            "occurred_at": pa.array([each.touch.at for each in some], pa.timestamp("us", tz="UTC")),
        }
        pq.write_table(pa.table(columns), path)
        paths.append(path)
    created = {"kblock": pa.array(CREATED, pa.string()), "created_at": [*CREATED.values()]}
    return EventFiles(paths, pa.table(created), *subjects())


def subjects(
    withheld: Mapping[str, int] | None = None, readers: Sequence[str] = (),
    sessions: Sequence[str] = (),
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Return the tables of withheld readers, and of readers and sessions that do not count."""
    import pyarrow as pa

    until = withheld or {}
    return (
        pa.table(
            {
                "reader": pa.array([*until], pa.string()),
                "until": pa.array([*until.values()], pa.int64()),
            }
        ),
        pa.table({"reader": pa.array(readers, pa.string())}),
        pa.table({"session": pa.array(sessions, pa.string())}),
    )


class Walked(NamedTuple):
    """A choice of the walk: all its candidates, and their relational features."""

    id: str
    kblocks: tuple[str, ...]
    matrix: Matrix
    is_cold: bool


def walked(rows: Sequence[Row], settings: AffinitySettings, until: int) -> Iterator[Walked]:
    """Yield the choices of a log before a time, by the walk that training and the server use."""
    described = {kblock: Description(created_at=at) for kblock, at in CREATED.items()}
    replay = PointInTimeReplay(described, settings)
    replay.window = Window(WARM_UP)
    columns = [NAMES.index(name) for name in RELATIONAL]
    for row in rows:
        event = Event(row.touch)
        is_choice = replay.window.is_impression(event)
        if is_choice and row.touch.at < until:
            own, at = row.touch.user_id, row.touch.at
            kblocks = replay.window.named(replay.window.candidates(own, at).tolist())
            matrix = replay.matrix(own, kblocks, at)[:, columns]
            yield Walked(row.id, kblocks, matrix, replay.window.is_cold(row.touch))
        replay.observe(event, counted=is_choice)
