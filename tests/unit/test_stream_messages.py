"""Messages of a stream: the event in one is the same at each delivery, and so is its id."""

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.errors import InvalidInput
from harken.protocols.stream.address import Kind, Sasl, StreamAddress
from harken.protocols.stream.messages import DeadLetter, Message, event_in, id_of
from harken.protocols.stream.options import StreamOptions, header_text

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVENT = {"user_id": "ada", "kblock_id": "one", "action": "view"}

places = st.builds(
    lambda name, number: f"{name}:{number}",
    st.text("abcXYZ-.", min_size=1, max_size=250),
    st.integers(1, 2**63),
)
times = st.none() | st.datetimes(timezones=st.just(UTC)).filter(lambda at: at.year >= 1970)


def message(at: datetime | None = NOW, **fields: Any) -> Message:
    return Message(json.dumps(EVENT | fields).encode(), "EVENTS:7", at)


@given(places, times)
def test_a_message_without_an_id_has_one_of_its_place(place: str, at: datetime | None) -> None:
    sent = Message(json.dumps(EVENT).encode(), place, at)
    first, again = event_in(sent), event_in(sent)
    assert first.interaction_id == again.interaction_id == id_of(sent)
    assert UUID(id_of(sent)).version == 7
    assert UUID(id_of(sent)).variant == "specified in RFC 4122"


@given(places, places, times, times)
def test_other_places_and_other_times_have_other_ids(
    place: str, other_place: str, at: datetime | None, other_at: datetime | None
) -> None:
    one, other = Message(b"", place, at), Message(b"", other_place, other_at)
    assert (id_of(one) == id_of(other)) == ((place, at) == (other_place, other_at))


def test_ids_are_in_the_order_of_the_times_in_the_stream() -> None:
    ids = [
        id_of(Message(b"", f"EVENTS:{number}", NOW + timedelta(milliseconds=number)))
        for number in range(200)
    ]
    assert ids == sorted(ids)


def test_an_event_happened_when_it_came_into_the_stream_unless_it_says_when() -> None:
    assert event_in(message()).occurred_at == NOW
    assert event_in(message(occurred_at="2026-04-30T10:00:00Z")).occurred_at == datetime(
        2026, 4, 30, 10, tzinfo=UTC
    )
    assert event_in(message(None)).occurred_at is None
    assert event_in(message(sent_at="2026-05-01T12:00:00Z")).occurred_at is None


def test_a_clock_of_the_stream_that_is_ahead_refuses_no_event() -> None:
    found = event_in(message(datetime.now(UTC) + timedelta(days=400)))
    assert found.occurred_at is not None
    assert found.occurred_at <= datetime.now(UTC)


def test_the_id_of_the_sender_stays() -> None:
    assert event_in(message(interaction_id="mine")).interaction_id == "mine"


@given(st.binary(max_size=300) | st.sampled_from([b"[" * 500, b"{}" * 70_000, b'"\\ud800"']))
def test_whatever_is_no_event_is_refused_in_words(body: bytes) -> None:
    try:
        event_in(Message(body, "EVENTS:7", NOW))
    except InvalidInput as error:
        sent = header_text(DeadLetter(Message(body, "EVENTS:7", NOW), str(error)))
        assert sent["harken-reason"].isascii()
        assert sent["harken-reason"].isprintable()
    else:
        assert {"user_id", "kblock_id", "action"} <= set(json.loads(body))


@pytest.mark.parametrize(
    ("url", "kind", "servers"),
    [
        ("nats://one", Kind.NATS, ("one:4222",)),
        ("NATS://one:4333,two", Kind.NATS, ("one:4333", "two:4222")),
        ("tls://[::1]:4222", Kind.NATS, ("[::1]:4222",)),
        ("kafka://a,b:1,c:", Kind.KAFKA, ("a:9092", "b:1", "c:9092")),
        ("kafkas://user:p%40ss@a:9093?sasl=scram-sha-512", Kind.KAFKA, ("a:9093",)),
    ],
)
def test_addresses(url: str, kind: Kind, servers: tuple[str, ...]) -> None:
    found = StreamAddress.parse(url)
    assert (found.kind, found.servers) == (kind, servers)


def test_who_signs_in_is_read_and_not_shown() -> None:
    found = StreamAddress.parse("kafkas://us%20er:p%40ss@a:9093?sasl=scram-sha-512")
    assert (found.user, found.password, found.sasl) == ("us er", "p@ss", Sasl.SCRAM_512)
    assert "p@ss" not in f"{found} {found!r}"
    assert found.is_encrypted
    token = StreamAddress.parse("nats://s3cret@a")
    assert (token.user, token.password) == ("s3cret", None)
    assert "s3cret" not in f"{token} {token!r}"


@pytest.mark.parametrize(
    "url",
    [
        "", "nats", "http://one", "nats://", "nats://u:secret@", "nats://a:x", "nats://a:99999",
        "nats://a/path", "nats://a?sasl=PLAIN", "kafka://a?sasl=GSSAPI", "kafka://a,,b",
        "kafka://u:secret@a?tls=1", "nats://[::1", "kafka:// a",
    ],
)  # fmt: skip
def test_other_addresses_are_refused_without_their_secrets(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        StreamAddress.parse(url)
    assert "secret" not in str(caught.value)


@given(st.sampled_from(["", "nats://", "kafka://"]), st.text())
def test_any_text_is_an_address_or_refused(scheme: str, text: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert StreamAddress.parse(scheme + text).servers


@pytest.mark.parametrize("name", ["", "a b", "events.*", "events.>", "x" * 201, "ä", "a,b", "a\n"])
def test_names_that_brokers_do_not_take_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        StreamOptions(subject=name, dead_letters="dead", group="harken", batch=1)


def test_dead_letters_are_not_read_again() -> None:
    with pytest.raises(InvalidInput, match="must not be the subject"):
        StreamOptions(subject="one", dead_letters="one", group="harken", batch=1)
