"""What is refused, and what the refusal says."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from harken.domain.feedback import MAX_DWELL_MS, FeedbackAction, Interaction, canonical_json
from harken.errors import InvalidInput

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GOOD = {"user_id": "u", "kblock_id": "k", "action": "view"}

DEEP: dict = {}
for _ in range(5_000):
    DEEP = {"a": DEEP}


def log(**fields):
    return Interaction.parse(GOOD | fields).entry(received_at=NOW, new_id="new")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"user_id": ""}, "user_id: String should have at least 1 character"),
        ({"user_id": "  "}, "user_id: must not be blank"),
        ({"user_id": "u" * 65}, "user_id: .* 64 characters, and has 65: send a hash of it"),
        ({"user_id": None}, "user_id: Input should be a valid string"),
        ({"kblock_id": "k\x00"}, r"kblock_id: must not contain \\u0000"),
        ({"kblock_id": "\ud800"}, "kblock_id: must not contain lone surrogates"),
        ({"action": "like"}, "action: Input should be 'view', 'engage', 'dismiss' or 'contradict'"),
        ({"dwell_time_ms": -1}, "dwell_time_ms: .* greater than or equal to 0"),
        ({"dwell_time_ms": MAX_DWELL_MS + 1}, "dwell_time_ms: .* less than or equal to 86400000"),
        ({"dwell_time_ms": 1.5}, "dwell_time_ms: Input should be a valid integer"),
        ({"dwell_time_ms": True}, "dwell_time_ms: Input should be a valid integer"),
        ({"dwell_time_ms": "5"}, "dwell_time_ms: Input should be a valid integer"),
        ({"metadata": [1]}, "metadata: Input should be a valid dictionary"),
        ({"metadata": {"a": "x" * 16_384}}, "metadata: takes 16392 bytes as JSON; at most 16384"),
        ({"metadata": {"a": float("nan")}}, "metadata: must be JSON: string keys"),
        ({"metadata": {"a": object()}}, "metadata: must be JSON: string keys"),
        ({"metadata": {"a": [{"b": "\x00"}]}}, r"metadata: must not contain \\u0000"),
        ({"metadata": {"a\x00": 1}}, r"metadata: must not contain \\u0000"),
        ({"metadata": {"a": "\udfff"}}, "metadata: must not contain lone surrogates"),
        ({"metadata": DEEP}, "metadata: is nested too deeply"),
        ({"position": -1}, "position: .* greater than or equal to 0"),
        ({"position": 2**31}, "position: .* less than or equal to 2147483647"),
        ({"interaction_id": ""}, "interaction_id: String should have at least 1 character"),
        ({"interaction_type": "t" * 65}, "interaction_type: .* at most 64"),
        ({"occurred_at": "2026-02-28T10:00:00"}, "occurred_at: needs its offset from UTC"),
        ({"occurred_at": "yesterday"}, "occurred_at: Input should be a valid datetime"),
        ({"occurred_at": NOW + timedelta(minutes=6)}, "occurred_at: must be between 1970"),
        ({"occurred_at": "1969-12-31T23:59:59Z"}, "occurred_at: must be between 1970"),
        ({"occurred_at": "0001-01-01T00:00:00+23:00"}, "occurred_at: must be between 1970"),
        ({"occurred_at": "9999-12-31T23:00:00Z", "sent_at": "0001-01-01T00:00:00Z"},
         "occurred_at: must be between 1970"),
        ({"dwel_time_ms": 5}, "dwel_time_ms: is not a known field; known are user_id"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_what_would_be_right(fields, message):
    with pytest.raises(InvalidInput, match=message):
        log(**fields)


def test_every_problem_is_named_at_once():
    with pytest.raises(InvalidInput) as raised:
        Interaction.parse({"action": "like", "dwell_time_ms": -1})
    assert {each.field for each in raised.value.problems} == {
        "user_id", "kblock_id", "action", "dwell_time_ms",
    }  # fmt: skip


def test_ids_may_be_64_characters_of_any_language():
    entry = log(user_id="\U0001f600" * 64, kblock_id="日" * 64)
    assert len(entry.user_id) == 64


def test_text_that_looks_like_an_escape_is_kept():
    kept = log(metadata={"a": "\\u0000"}).interaction_metadata
    assert kept is not None
    assert json.loads(kept) == {"a": "\\u0000"}


def test_equal_metadata_is_equal_text():
    assert canonical_json({"b": 1, "a": {"d": 2, "c": "é"}}) == '{"a":{"c":"é","d":2},"b":1}'


def test_actions_are_the_four():
    assert set(FeedbackAction) == {"view", "engage", "dismiss", "contradict"}


def test_times_of_any_offset_are_kept_as_utc():
    assert log(occurred_at="2026-02-28T12:00:00+02:00").created_at == datetime(
        2026, 2, 28, 10, tzinfo=UTC
    )
    assert log().created_at == NOW
