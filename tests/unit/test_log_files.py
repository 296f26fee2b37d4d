"""Files of events as they come: what is read of them, and that every record is accounted for."""

import csv
import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harken.errors import InvalidInput
from harken.services.record.files.csv_records import MAX_RECORD_LINES
from tests.support.log_files import AT_TEN, HEADER, ROW, TEN, Found, lines_of, table


@pytest.fixture
def read(tmp_path):
    def call(content, name="log.csv", timezone=None, as_written=False, **reading: Any) -> Found:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return Found(path, timezone, as_written=as_written, **reading)

    return call


@pytest.mark.parametrize(
    "content",
    [
        b"timestamp;user_id;item_id;event_type\n2024-01-01T10:00:00Z;u1;k1;VIEW\n",
        b"timestamp|user_id|item_id|event_type\n2024-01-01T10:00:00Z|u1|k1|VIEW\n",
        b"timestamp\tuser_id\titem_id\tevent_type\n2024-01-01T10:00:00Z\tu1\tk1\tVIEW\n",
        b"sep=;\r\ntimestamp;user_id;item_id;event_type\r\n2024-01-01T10:00:00Z;u1;k1;VIEW\r\n",
        table(ROW.format(1).replace(",", ", "), header=HEADER.replace(",", ", ")).encode(),
        b'"timestamp"; "user_id"; "item_id"; "event_type"\n"2024-01-01T10:00:00Z"; "u1"; k1; VIEW',
        table(ROW.format(1)).encode("utf-16"),
        table(ROW.format(1)).encode("utf-16-le"),
        table(ROW.format(1)).encode("utf-16-be"),
        table(ROW.format(1)).encode("utf-32"),
        table(ROW.format(1)).encode("utf-8-sig"),
        table(ROW.format(1)).replace("\n", "\r\n").encode(),
        table(ROW.format(1)).replace("\n", "\r").encode(),
        ("\n  \n" + table("", ROW.format(1), "   ")).encode(),
        table(ROW.format(1)).rstrip().encode(),
        table(ROW.format(1), header="Timestamp,User_ID,Item ID,Event_Type").encode(),
        table(ROW.format(1), header="timestamp,userId,itemId,eventType").encode(),
        table(ROW.format(1) + ",5", header=HEADER + ",").encode(),
        gzip.compress(HEADER.encode() + b"\n") + gzip.compress(ROW.format(1).encode()),
    ],
)  # fmt: skip
def test_dialects_and_encodings_are_recognised(read, content):
    found = read(content)
    assert [(e.user_id, e.kblock_id, e.action, e.occurred_at) for e in found.events] == [
        ("u1", "k1", "view", AT_TEN)
    ]
    assert not found.refused


def test_a_quoted_value_may_have_several_lines(read):
    rows = (ROW.format(1) + ',"two\nlines, and ""quotes"""', ROW.format(2) + ",")
    found = read("\ufeff" + table(*rows, header=HEADER + ",comment"))
    assert found.users == ["u1", "u2"]
    assert found.summary.tally.lines == 4


@pytest.mark.parametrize("rows", [3, MAX_RECORD_LINES + 500])
@pytest.mark.parametrize("begin", ['"{time},u0,k1,VIEW', '{time},"u0,k1,VIEW'])
def test_a_quote_that_never_closes_costs_its_own_line(read, rows, begin):
    good = [ROW.format(n) for n in range(1, rows + 1)]
    found = read(table(good[0], begin.format(time=TEN), *good[1:]))
    assert found.users == [f"u{n}" for n in range(1, rows + 1)]
    assert list(found.refused) == [3]
    assert "opens a quote" in found.refused[3]


@pytest.mark.parametrize(
    "closing",
    ['{time},"u9",k1,VIEW,"a note"', '{time},u9,k1,VIEW,note"', '{time},u9,k1,VIEW,'],
)  # fmt: skip
def test_a_quote_that_closes_too_late_swallows_nothing(read, closing):
    rows = [ROW.format(1) + ',"open', *(ROW.format(n) + "," for n in range(2, 6))]
    found = read(table(*rows, closing.format(time=TEN), header=HEADER + ",note"))
    assert found.users == ["u2", "u3", "u4", "u5", "u9"]
    assert list(found.refused) == [2]


def test_rows_that_are_broken_cost_themselves(read):
    rows = [
        ROW.format(1), f"{TEN},u2,k1", f"{TEN},u3,k1,VIEW,more", f"{TEN},u\x004,k1,VIEW",
        f'{TEN},"u5"x,k1,VIEW', f"{TEN},,k1,VIEW", ",,,", ROW.format(8),
    ]  # fmt: skip
    found = read(table(*rows))
    assert found.users == ["u1", "u8"]
    assert list(found.refused) == [3, 4, 5, 6, 7, 8]
    assert found.refused[3] == "has 3 values for 4 columns"


def test_long_fields_and_long_lines(read):
    long = ROW.format(1) + "," + "x" * 500_000
    longer = ROW.format(2) + "," + "x" * 3_000_000
    found = read(table(long, longer, ROW.format(3) + ",", header=HEADER + ",html"))
    assert found.users == ["u1", "u3"]
    assert found.refused == {3: "is longer than 1048576 bytes"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (table("x", header="timestamp,user_id,user_id,item_id,event_type"),
         "'user_id' is repeated, in columns 2 and 3"),
        (table("x", header="timestamp,User_Id,user_id,item_id,event_type"), "both match"),
        (table(ROW.format(1), header=ROW.format(0)), "has no column for user_id, kblock_id"),
        (table(header="zeit,wer,was\u00e9").encode("latin-1"), "is not UTF-8"),
        (b"\x28\xb5\x2f\xfd....", "compressed with Zstandard"),
        (b"PK\x03\x04....", "ZIP"),
        (b"PAR1....", "--format parquet"),
    ],
)  # fmt: skip
def test_files_that_are_refused_whole(read, content, message):
    with pytest.raises(InvalidInput, match=message):
        read(content)


@pytest.mark.parametrize("content", [b"", b"\n \n", (HEADER + "\n").encode(), b"\xef\xbb\xbf"])
def test_files_without_events(read, content):
    assert read(content).summary.records == 0


def test_what_is_in_another_encoding_is_named(read):
    content = table(ROW.format(1), f"{TEN},\u00e9va,k1,VIEW", ROW.format(3)).encode("cp1252")
    found = read(content)
    assert found.users == ["u1", "u3"]
    assert found.refused == {3: "is not UTF-8"}
    [remark] = found.summary.remarks
    assert "byte 0xE9, after 21 characters" in remark
    assert "--encoding, such as windows-1252" in remark
    assert read(content, encoding="windows-1252").users == ["u1", "\u00e9va", "u3"]
    with pytest.raises(InvalidInput, match="begins with the byte order mark of utf-16"):
        read(table().encode("utf-16"), encoding="utf-8")
    with pytest.raises(InvalidInput, match="encoding: 'rot13' is not an encoding"):
        read(content, encoding="rot13")


def test_a_delimiter_can_be_given(read):
    assert read(table(ROW.format(1)).replace(",", "^"), delimiter="^").users == ["u1"]
    with pytest.raises(InvalidInput, match="must be one character"):
        read(table(), delimiter="ab")


def packed(rows: int) -> bytes:
    return gzip.compress(table(*(ROW.format(n) for n in range(rows))).encode())


def test_what_comes_out_of_a_compressed_file_is_bounded(read):
    found = read(packed(100_000), "log.csv.gz", max_size="1MiB")
    assert 20_000 < len(found.events) < 40_000
    [reason] = found.refused.values()
    assert "has more than 1048576 bytes decompressed; --max-size allows more" in reason
    assert len(read(packed(1_000), "log.csv.gz", max_size="1MiB").events) == 1_000
    zeros = read(gzip.compress(bytes(50_000_000)), "log.jsonl.gz", max_size="20MB")
    assert next(iter(zeros.refused.values())) == "is longer than 1048576 bytes"


@pytest.mark.parametrize("name", ["log.csv.gz", "log.jsonl.gz"])
def test_damaged_archives_say_so(read, name):
    whole = packed(20_000)
    if "jsonl" in name:
        event = {"user_id": "u", "item_id": "k", "event_type": "view", "timestamp": TEN}
        lines = [json.dumps(event | {"user_id": f"u{n}"}) for n in range(20_000)]
        whole = gzip.compress("\n".join(lines).encode())
    for damaged in (whole[: len(whole) // 2], whole + b"more", whole[:-8] + bytes(8)):
        found = read(damaged, name)
        assert found.events
        assert "the file is damaged from here on" in found.summary.refusals[-1][1]


def test_json_lines_that_are_broken_cost_themselves(read):
    good = f'{{"timestamp":"{TEN}","user_id":"u1","item_id":"k","event_type":"view"}}'
    found = read(
        lines_of(
            good, "", good.replace('"k"', '"k","user_id":"u2"'), good + ",", good + good, "null",
            good[:-5], good.replace('"u1"', "1" * 5_000), good.replace('"u1"', '{"id":1}'), good,
        ),
        "log.jsonl",
    )  # fmt: skip
    assert len(found.events) == 2
    assert list(found.refused) == [3, 4, 5, 6, 7, 8, 9]
    assert "the name 'user_id' is repeated" in found.refused[3]
    assert "a comma follows" in found.refused[4]


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        ('[{"user_id": 1}]', r"jq -c '\.\[\]'"),
        ("[\n  {},\n", r"jq -c '\.\[\]'"),
        ('{\n  "a": 1\n}', "jq -c . FILE"),
    ],
)
def test_one_json_document_is_named(read, content, advice):
    with pytest.raises(InvalidInput, match=advice):
        read(content, "log.jsonl")


def test_json_lines_in_other_encodings(read):
    good = f'{{"timestamp":"{TEN}","user_id":"\u00e9","item_id":"k","event_type":"view"}}\n'
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le"):
        assert read(good.encode(encoding), "log.jsonl").users == ["\u00e9"]


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)


@given(
    notes=st.lists(words | st.sampled_from(['"', '""', "a\nb", ",", ";", "\r\n"]), max_size=30),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_tables_of_any_dialect_are_read_whole(read, notes, delimiter, end, encoding, quoting):
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow([*HEADER.split(","), "note"])
    writer.writerows([TEN, f"u{n}", "k1", "VIEW", note] for n, note in enumerate(notes))
    found = read(file.getvalue().encode(encoding))
    assert found.users == [f"u{n}" for n in range(len(notes))]


@given(
    count=st.integers(1, 40),
    damages=st.lists(st.tuples(st.integers(0), st.binary(max_size=4)), min_size=1, max_size=4),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    is_packed=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_damaged_table_adds_up_and_keeps_what_stands_before(
    read, count, damages, quoting, is_packed
):
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n", quoting=quoting)
    writer.writerow(HEADER.split(","))
    writer.writerows([TEN, f"u{n}", "k1", "VIEW"] for n in range(count))
    whole = file.getvalue().encode()
    start = whole.index(b"\n") + 1
    damaged = whole
    first = len(whole)
    for place, junk in damages:
        at = start + place % (len(whole) - start)
        first = min(first, at)
        damaged = damaged[:at] + junk + damaged[at + len(junk) :]
    found = read(gzip.compress(damaged) if is_packed else damaged)  # which checks the sum
    before = whole[start:first].count(b"\n")
    assert found.users[:before] == [f"u{n}" for n in range(before)]
    assert found.summary.records >= before


@given(st.binary(max_size=300), st.sampled_from(["l.csv", "l.jsonl", "l.tsv", "l.parquet"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_are_read_or_refused(read, content, name):
    try:
        found = read(content, name)
    except InvalidInput:
        return
    assert found.summary.records == len(found.events) + found.summary.refused
