"""Keys: how they are stored, found, used, replaced and revoked, on both databases."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from harken.config import Settings
from harken.errors import HarkenError, InvalidInput, NotFound
from harken.protocols.http.gate import Gate
from harken.protocols.http.security import CALLER
from harken.services.access import keys
from harken.services.access.key_ring import KeyRing
from harken.services.access.key_store import KeyStore, NewKey
from harken.services.access.rights import Caller, KeyKind, Scope
from tests.support.access import TOKEN_SECRET, token_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that a test sets; called with nothing, it returns the time."""

    def __init__(self, at):
        self.at = at

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock(NOW)


@pytest.fixture
def store(session_factory, clock):
    return KeyStore(session_factory, clock=clock)


@pytest.fixture
def timer():
    return Clock(0.0)


@pytest.fixture
async def ring(store, clock, timer):
    made = KeyRing(store, clock=clock, timer=timer)
    yield made
    await made.close()


async def test_only_a_hash_of_the_secret_is_stored(store, session_factory):
    made = await store.create("shop", scopes=[Scope.READ])
    prefix, key_id, secret = made.text.split("_")
    assert (prefix, key_id, len(secret)) == ("hk", made.stored.id, 43)
    async with session_factory() as session:
        [row] = (await session.execute(text("SELECT * FROM feed_keys"))).all()
    assert secret not in str(row)
    assert hashlib.sha256(secret.encode()).hexdigest() in row
    assert await store.get(key_id) == made.stored


def test_keys_differ_and_can_be_read_back():
    drawn = {keys.draw(KeyKind.SECRET) for _ in range(200)}
    assert len({key.secret for key in drawn}) == len({key.id for key in drawn}) == 200
    assert all(keys.parse(key.text) == key for key in drawn)


async def test_a_key_is_found_until_it_expires(store, ring, clock):
    made = await store.create("shop", scopes=[Scope.READ], lifetime=timedelta(hours=1))
    await ring.current()
    assert ring.find(made.text) == made.stored
    clock.at += timedelta(minutes=59, seconds=59)
    assert ring.find(made.text) is not None
    clock.at += timedelta(seconds=1)
    assert ring.find(made.text) is None


async def test_a_revoked_key_is_gone_within_five_seconds(store, ring, timer):
    made = await store.create("shop", scopes=[Scope.READ])
    await ring.current()
    await store.revoke(made.stored.id)
    timer.at = 1.9
    await ring.current()
    assert ring.find(made.text) is not None  # the copy is younger than two seconds
    timer.at = 4.1
    await ring.current()
    assert ring.find(made.text) is None
    assert (await store.revoke(made.stored.id)).revoked_at == NOW


async def test_the_copy_is_read_beside_the_requests(store, ring, timer):
    await ring.current()
    made = await store.create("shop", scopes=[Scope.READ])
    timer.at = 2.5
    assert not (await ring.current()).keys  # answered at once, and read meanwhile
    await ring.close()
    assert set((await ring.current()).keys) == {made.stored.id}


async def test_revoked_keys_still_count_as_keys(store, ring):
    assert not (await ring.current()).has_any
    made = await store.create("shop", scopes=[Scope.READ])
    await store.revoke(made.stored.id)
    ring.forget()
    found = await ring.current()
    assert (found.has_any, dict(found.keys)) == (True, {})


async def test_a_replaced_key_stays_valid_for_the_grace(store, ring, clock):
    old = await store.create("site", KeyKind.PUBLISHABLE, origins=["https://a.example"])
    new = await store.rotate(old.stored.id, timedelta(hours=1))
    assert (new.stored.name, new.stored.origins) == ("site", ("https://a.example",))
    await ring.current()
    assert ring.find(old.text) is not None
    clock.at += timedelta(hours=1)
    assert ring.find(old.text) is None
    assert ring.find(new.text) is not None
    newest = await store.rotate(new.stored.id)
    ring.forget()
    await ring.current()
    assert ring.find(new.text) is None
    assert ring.find(newest.text) is not None
    with pytest.raises(InvalidInput, match="no longer valid"):
        await store.rotate(new.stored.id)
    for change in (store.get, store.rotate, store.revoke):
        with pytest.raises(NotFound, match="there is no key 'nobody'"):
            await change("nobody")


async def test_the_last_use_is_written_once_a_minute(store, ring, clock, timer):
    made = await store.create("shop", scopes=[Scope.READ])
    for seconds, expected in ((0, NOW), (59, NOW), (61, NOW + timedelta(seconds=61))):
        timer.at, clock.at = float(seconds), NOW + timedelta(seconds=seconds)
        ring.note_use(made.stored.id)
        await ring.close()
        assert (await store.get(made.stored.id)).last_used_at == expected


async def test_a_row_that_cannot_be_read_opens_nothing(store, ring, session_factory, caplog):
    made = await store.create("shop", scopes=[Scope.READ])
    for column, value in (("scopes", '["root"]'), ("scopes", "{"), ("kind", "master")):
        async with session_factory() as session:
            await session.execute(text(f"UPDATE feed_keys SET {column} = '{value}'"))
            await session.commit()
        ring.forget()
        found = await ring.current()
        assert (found.has_any, dict(found.keys)) == (True, {})
        assert ring.find(made.text) is None
    assert f"the key '{made.stored.id}' cannot be read" in caplog.text


async def test_without_its_database_no_key_is_valid(store, ring, timer, session_factory):
    made = await store.create("shop", scopes=[Scope.READ])
    await ring.current()
    async with session_factory() as session:
        await session.execute(text("ALTER TABLE feed_keys RENAME TO elsewhere"))
        await session.commit()
    timer.at = 10.0
    with pytest.raises(HarkenError):
        await ring.current()
    async with session_factory() as session:
        await session.execute(text("ALTER TABLE elsewhere RENAME TO feed_keys"))
        await session.commit()
    await ring.current()
    assert ring.find(made.text) is not None


@pytest.fixture
def gate(ring):
    """Return a function that sends a request through a gate: its status, and its caller."""

    async def application(scope, _receive, send):
        callers.append(scope[CALLER])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def provide():
        return ring

    callers: list[Caller] = []
    guarded = Gate(application, Settings(token_secret=TOKEN_SECRET), provide)

    async def send(**headers):
        statuses = []

        async def nothing():
            return {"type": "http.request"}

        async def answer(message):
            statuses.append(message.get("status"))

        scope = {
            "type": "http", "method": "GET", "path": "/api/feed/cosmos", "query_string": b"",
            "headers": [(name.replace("_", "-").encode(), each.encode())
                        for name, each in headers.items()],
        }  # fmt: skip
        await guarded(scope, nothing, answer)
        return statuses[0], callers[-1] if statuses[0] == 200 else None

    return send


async def test_a_key_that_was_accepted_is_checked_again_with_the_next_copy(
    store, gate, ring, timer
):
    made = await store.create("shop", scopes=[Scope.READ])
    for _ in range(2):
        status, caller = await gate(x_api_key=made.text)
        assert (status, caller.key_id, caller.scopes) == (200, made.stored.id, {Scope.READ})
    assert (await gate(authorization=f"Bearer {made.text}"))[0] == 200
    assert (await gate(x_api_key=made.text[:-1] + "!"))[0] == 401
    await store.revoke(made.stored.id)
    timer.at = 4.1
    assert (await gate(x_api_key=made.text))[0] == 401


async def test_a_key_that_was_accepted_expires_on_time(store, gate, clock):
    made = await store.create("shop", scopes=[Scope.READ], lifetime=timedelta(hours=1))
    assert [(await gate(x_api_key=made.text))[0] for _ in range(2)] == [200, 200]
    clock.at += timedelta(hours=1)
    assert (await gate(x_api_key=made.text))[0] == 401


async def test_a_key_that_was_accepted_alone_is_bound_by_a_token(store, gate):
    made = await store.create("shop", scopes=[Scope.READ])
    assert (await gate(x_api_key=made.text))[1].user_id is None
    _, caller = await gate(x_api_key=made.text, x_harken_user_token=token_of("ada"))
    assert caller.user_id == "ada"
    assert (await gate(x_api_key=made.text))[1].user_id is None


async def test_a_key_that_is_made_while_keys_are_read_is_known_at_once(store, ring, monkeypatch):
    listed = store.listed
    made: list[NewKey] = []

    async def late():
        found = await listed()
        if not made:
            made.append(await store.create("shop", scopes=[Scope.READ]))
            ring.forget()  # as the route does that made the key
        return found

    monkeypatch.setattr(store, "listed", late)
    assert (await ring.current()).has_any
    assert ring.find(made[0].text) is not None
