"""Values of logs: numbers that are ids, words for no value, types of Parquet, and times."""

import json
from datetime import UTC
from typing import Any

import pyarrow as pa
import pytest

from harken.errors import InvalidInput
from harken.services.record.files import event_times as times
from harken.services.record.files.values import NO_VALUES, NUMERIC_IDS
from tests.support.log_files import AT_TEN, TEN, Found, lines_of, parquet, table


@pytest.fixture
def read(tmp_path):
    def call(content, name="log.csv", timezone=None, as_written=False, **reading: Any) -> Found:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return Found(path, timezone, as_written=as_written, **reading)

    return call


def test_ids_that_became_numbers_are_one_id(read):
    rows = ["12345.0,7.0,3000.0", "12345,7,3000", "NULL,7,NULL", "\\N,7,", "nan,7,nan",
            "None,7,", "1.10,7.5,", "12345,7,nan", "u,7,3000.5"]  # fmt: skip
    header = "timestamp,user_id,item_id,dwell_time_ms,event_type"
    content = table(*(f"{TEN},{row},VIEW" for row in rows), header=header)
    found = read(content)
    assert found.users == ["12345", "12345", "1.10", "12345"]
    assert [event.kblock_id for event in found.events] == ["7", "7", "7.5", "7"]
    assert [event.dwell_time_ms for event in found.events] == [3000, 3000, None, None]
    assert list(found.refused) == [4, 5, 6, 7, 10]
    assert found.summary.notes == {NUMERIC_IDS: 2, NO_VALUES: 1}
    assert found.summary.reasons["user_id: … means no value; --as-written keeps it"] == 4
    assert read(content, as_written=True).users == [
        "12345.0", "12345", "NULL", "\\N", "nan", "None", "1.10", "12345",
    ]  # fmt: skip


def test_ids_that_a_spreadsheet_rounded_are_refused(read):
    users = ["1.23457E+11", "1.2345E+04", "1e+20", "-2E+15", "1e5", "12e4", "1.5e-7", "E+11"]
    header = "timestamp,user_id,item_id,event_type"
    content = table(*(f"{TEN},{user},7,VIEW" for user in users), header=header)
    found = read(content)
    assert found.users == users[4:]
    assert found.summary.reasons == {
        "user_id: … is a number that a program rounded; --as-written keeps it": 4
    }
    assert read(content, as_written=True).users == users
    events = [{"timestamp": TEN, "user_id": user, "item_id": 7, "event_type": "VIEW"}
              for user in users]  # fmt: skip
    assert read(lines_of(*map(json.dumps, events)), "log.jsonl").users == users


def test_numbers_of_json_and_parquet_are_the_same_ids(read):
    event = {"timestamp": TEN, "item_id": 7, "event_type": "VIEW"}
    users = [12345.0, 12345, True, 0.5, 2.0**60, float("nan"), 12345678901234567890123, "12345.0"]
    found = read(lines_of(*(json.dumps(event | {"user_id": each}) for each in users)), "l.jsonl")
    assert found.users == ["12345", "12345", "12345678901234567890123", "12345.0"]
    assert list(found.refused) == [3, 4, 5, 6]
    floats = pa.array([12345.0, None, float("nan"), 0.5, 1e300])
    columns = {"timestamp": [TEN] * 5, "user_id": floats, "item_id": [7] * 5,
               "event_type": ["VIEW"] * 5}  # fmt: skip
    found = read(parquet(columns), "log.parquet")
    assert found.users == ["12345"]
    assert list(found.refused) == [2, 3, 4, 5]


@pytest.mark.parametrize(
    "users",
    [
        pa.array([b"12345", b"\xff"]),
        pa.array(["12345", None]),
        pa.array(["12345", None]).dictionary_encode(),
        pa.array([12345, None], pa.int32()),
        pa.array([12345, None], pa.decimal128(9, 2)),
        pa.array(["12345", None], pa.large_string()),
    ],
    ids=lambda each: str(each.type),
)
def test_types_of_parquet(read, users):
    columns = {"timestamp": [TEN] * 2, "user_id": users, "item_id": [7] * 2,
               "event_type": ["VIEW"] * 2}  # fmt: skip
    found = read(parquet(columns), "log.parquet")
    assert found.users == ["12345"]
    assert list(found.refused) == [2]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_parquet(read, unit):
    numbers = [AT_TEN.timestamp() * 10 ** {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit], 2**53]
    for zone in (None, "UTC", "Europe/Berlin"):
        at = pa.array([int(each) for each in numbers], pa.timestamp(unit, zone))
        columns = {"timestamp": at, "user_id": ["u"] * 2, "item_id": [7] * 2,
                   "event_type": ["VIEW"] * 2}  # fmt: skip
        found = read(parquet(columns), "log.parquet", timezone="UTC")
        assert found.events[0].occurred_at == AT_TEN
        if unit in {"s", "ms"}:
            assert "is outside the years" in found.refused[2]
        if zone is None:
            with_none = read(parquet(columns), "log.parquet")
            assert "give --timezone" in with_none.refused[1]


def test_parquet_is_bounded_and_may_be_damaged(read):
    names = {"timestamp": [TEN] * 50_000, "item_id": [7] * 50_000, "event_type": ["VIEW"] * 50_000}
    whole = parquet(names | {"user_id": [f"u{n}" for n in range(50_000)]})
    with pytest.raises(InvalidInput, match="bytes uncompressed, more than 1000"):
        read(whole, "log.parquet", max_size="1000")
    assert len(read(whole, "log.parquet").events) == 50_000
    middle = len(whole) // 3
    found = read(whole[:middle] + bytes(500) + whole[middle + 500 :], "log.parquet")
    assert found.refused
    for damaged in (b"", whole[:-10], whole[: len(whole) // 2], b"PAR1PAR1"):
        with pytest.raises(InvalidInput, match="is not Parquet"):
            read(damaged, "log.parquet")


def test_a_long_text_that_many_rows_have_is_held_once(read):
    def rows(number: int) -> bytes:
        texts = pa.array(["x" * 1_000_000])
        long = pa.DictionaryArray.from_arrays(pa.array([0] * number, pa.int32()), texts)
        columns = {"timestamp": [TEN] * number, "user_id": ["u"] * number, "item_id": [7] * number,
                   "event_type": ["VIEW"] * number, "html": long}  # fmt: skip
        return parquet(columns)

    before = pa.total_allocated_bytes()
    found = read(rows(1_000), "log.parquet")
    assert len(found.events) == 1_000
    assert pa.default_memory_pool().max_memory() - before < 200_000_000


READ = {
    "1704103200": 0, "1704103200000": 0, "1704103200000000": 0, "1704103200000000000": 0,
    "1704103200.5": 0.5, "2024-01-01 10:00:00 UTC": 0, "2024-01-01 10:00:00.123456 UTC": 0.123456,
    "2024-01-01T10:00:00+0000": 0, "2024-01-01T10:00:00+01": -3600,
    "2024-01-01 10:00:00+00:00": 0, "2024-01-01 10:00:00 +0100": -3600,
    "Mon Jan 01 10:00:00 +0000 2024": 0, "Mon, 01 Jan 2024 10:00:00 GMT": 0,
    "01/Jan/2024:10:00:00 +0000": 0, "2024-01-01T10:00:00.000000123Z": 0,
}  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), READ.items())
def test_times_with_a_zone_are_read(read, text, seconds):
    found = read(table(f'"{text}",u,k,VIEW'))
    assert found.events[0].occurred_at is not None
    assert found.events[0].occurred_at.timestamp() - AT_TEN.timestamp() == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("01/02/2024 10:00", "must be a time such as"),
        ("-62135596800", "years 1000 to 2999"),
        ("253402300799.0", "years 1000 to 2999"),
        ("20240101", "give --timezone"),
        ("202401011000", "give --timezone"),
        ("2024-01-01", "give --timezone"),
        ("2024-01-01 10:00", "give --timezone"),
        ("2024-01-01 10:00:00 CEST", "name of several zones"),
        ("99999999999999999999", "in seconds to nanoseconds since 1970"),
        ("1.7041E+09", "must be a time such as"),
        ("yesterday", "must be a time such as"),
    ],
)
def test_times_with_no_reading_or_two_are_refused(read, text, reason):
    found = read(table(f'"{text}",u,k,VIEW'))
    assert reason in found.refused[2]


def test_hours_that_the_clock_showed_twice_or_never_are_remarked(read):
    rows = ["2024-10-27 02:30:00", "2024-03-31 02:30:00", "2024-10-27 02:30:00 CEST",
            "2024-10-27 02:30:00 CET", "2024-10-27 02:30:00 EST", "2024-01-01",
            "20240101"]  # fmt: skip
    found = read(table(*(f"{row},u,k,VIEW" for row in rows)), timezone="Europe/Berlin")
    assert [f"{event.occurred_at.astimezone(UTC):%m-%dT%H:%M}" for event in found.events] == [
        "10-27T00:30", "03-31T01:30", "10-27T00:30", "10-27T01:30", "12-31T23:00", "12-31T23:00",
    ]  # fmt: skip
    assert list(found.refused) == [6]
    assert found.summary.notes == {
        times.AMBIGUOUS: 1, times.SKIPPED: 1, times.DATES_ALONE: 1, times.COMPACT: 1,
    }  # fmt: skip
