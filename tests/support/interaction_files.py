"""Logs as files that `harken import interactions` reads."""

import csv
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def rows(log) -> list[dict]:
    """Return the events of a log as rows of a file."""
    return [
        {
            "interaction_id": f"e{n:06}",
            "user_id": touch.user_id,
            "kblock_id": touch.kblock_id,
            "action": touch.action,
            "interaction_type": touch.interaction_type,
            "occurred_at": datetime.fromtimestamp(touch.at / 1e6, UTC).isoformat(),
            "request_id": request_id,
        }
        for n, (touch, _, request_id) in enumerate(log)
    ]


def write(path: Path, events: list[dict]) -> Path:
    """Write rows as the name of a file says, and return its path."""
    names = list(dict.fromkeys(name for event in events for name in event))
    if ".parquet" in path.suffixes:
        rows = [{n: _flat(event.get(n)) for n in names} for event in events]
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w", newline="") as file:
        if ".jsonl" in path.suffixes:
            file.writelines(json.dumps(event) + "\n" for event in events)
        else:
            writer = csv.DictWriter(file, names, delimiter="\t" if ".tsv" in path.suffixes else ",")
            writer.writeheader()
            writer.writerows({n: _flat(v) for n, v in event.items()} for event in events)
    return path


def _flat(value):
    return json.dumps(value) if isinstance(value, dict) else value
