"""Comments: rows of their own beside the log, which their writer alone can change."""

import importlib
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select
from uuid_utils import uuid7

from harken.database import Kind
from harken.domain.feedback import Interaction
from harken.errors import Erased, InvalidInput, NotFound
from harken.services.integrity.erasure import Erasure
from harken.services.integrity.export import PersonalData
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.record.admission.quarantines import Target
from harken.services.record.admission.subjects import Subject
from harken.services.record.comments.recording import COMMENTS, text_in
from harken.services.record.comments.store import MOST_CHARACTERS
from harken.services.record.transaction import LOG
from tests.contract.conftest import NOW, log
from tests.contract.test_feed_service import put, service
from tests.support.remains import files_of, places_of

__all__ = ["service"]

migration = importlib.import_module("harken.migrations.versions.0016_comments")


async def say(
    service, text: Any, kblock_id: str = "k1", user_id: str = "ada", after: int = 0, **fields
) -> str:
    """Record a comment, and return the id of its event."""
    at = (NOW - timedelta(hours=1) + timedelta(seconds=after)).isoformat()
    event = {
        "user_id": user_id, "kblock_id": kblock_id, "action": "engage",
        "interaction_type": "comment", "metadata": {"text": text}, "occurred_at": at,
        "interaction_id": str(uuid7()), **fields,
    }  # fmt: skip
    result = await service.record.record_batch([event])
    assert not result.rejected, result.rejected
    return str(event["interaction_id"])


async def texts(service, kblock_id: str = "k1") -> list[str]:
    return [each.text for each in (await service.readers.comments.on(kblock_id)).comments]


async def stored(database) -> list[Any]:
    async with database.reading() as connection:
        return list(await connection.execute(select(COMMENTS).order_by(COMMENTS.c.comment_id)))


# Recording


async def test_a_comment_is_an_event_and_a_row_of_the_same_transaction(service, database):
    second = await say(service, "Second.", after=2, user_id="bob")
    first = await say(service, "  First, with “quotes” and \\ and 🙂.\n", after=1)
    page = await service.readers.comments.on("k1")
    assert [each.comment_id for each in page.comments] == [first, second]
    one = page.comments[0]
    assert (one.user_id, one.kblock_id, one.edited_at) == ("ada", "k1", None)
    assert one.text == "First, with “quotes” and \\ and 🙂."
    assert one.created_at == NOW - timedelta(hours=1) + timedelta(seconds=1)
    assert await service.readers.comments.counts(["k1", "k2"]) == {"k1": 2}
    assert len(await log(database)) == 2
    assert (await service.record.verify()).differences == 0


async def test_what_is_no_comment_is_an_event_alone(service, database):
    for text in ("", "  \n", None, 7, ["x"]):
        await say(service, text)
    await say(service, "Of a guest.", user_id="guest")
    await say(service, "Of another type.", interaction_type="note")
    await say(service, "A view.", action="view")
    await say(service, "x", metadata={"body": "x"})
    await say(service, "x", metadata=None)
    assert len(await log(database)) == 10
    assert await stored(database) == []


async def test_a_batch_of_many_kinds_writes_the_comments_among_them(service, database):
    events: list[dict[str, Any]] = [
        {
            "interaction_id": f"e{n:02}", "user_id": f"u{n % 3}", "kblock_id": f"k{n % 4}",
            "action": ("view", "dismiss", "engage", "engage")[n % 4],
            "interaction_type": {2: "save", 3: "comment"}.get(n % 4),
            "metadata": {"text": f"Comment {n}"},
        }
        for n in range(24)
    ]  # fmt: skip
    await service.record.record_batch(events)
    await service.record.record_batch(events)  # again, as of a client that had no answer
    assert [(each.comment_id, each.text) for each in await stored(database)] == [
        (f"e{n:02}", f"Comment {n}") for n in range(24) if n % 4 == 3
    ]
    assert await service.readers.comments.counts([f"k{n}" for n in range(4)]) == {"k3": 6}
    assert len(await log(database)) == 24
    assert (await service.record.verify()).differences == 0


async def test_pages_of_comments_have_each_once(service):
    for n in range(7):
        await say(service, f"{n}", after=n // 2)
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = await service.readers.comments.on("k1", 3, offset)
        assert page.total == 7
        seen += [each.text for each in page.comments]
        offset = page.next_offset
    assert sorted(seen) == [f"{n}" for n in range(7)]
    assert (await service.readers.comments.on("k1", 3, 100)).next_offset is None


# Editing and removing


async def test_an_edit_keeps_its_time_and_the_log_keeps_the_first_text(service, database):
    comment = await say(service, "Frist.")
    before = await log(database)
    store = service.readers.comments
    edited = await store.edit("ada", comment, " First. ")
    assert (edited.text, edited.comment_id) == ("First.", comment)
    assert edited.edited_at > edited.created_at
    again = await store.edit("ada", comment, "First.")
    assert again == edited  # the same text is no further edit
    [listed] = (await store.on("k1")).comments
    assert listed == edited
    assert await log(database) == before
    # The event again, as of a client that had no answer, changes nothing.
    await say(service, "Frist.", interaction_id=comment)
    assert await texts(service) == ["First."]


async def test_a_removal_leaves_the_event_and_its_count(service, database):
    comment = await say(service, "Gone.")
    await say(service, "Stays.", after=1)
    before = await log(database)
    await service.readers.comments.remove("ada", comment)
    assert await texts(service) == ["Stays."]
    assert await log(database) == before
    assert (await service.record.get_interaction_stats("ada", "k1"))["engagements"] == 2
    assert (await service.record.verify()).differences == 0
    await say(service, "Gone.", interaction_id=comment)
    assert await texts(service) == ["Stays."]
    with pytest.raises(NotFound):
        await service.readers.comments.remove("ada", comment)
    with pytest.raises(NotFound):
        await service.readers.comments.edit("ada", comment, "Back?")


async def test_nobody_changes_the_comment_of_another(service):
    comment = await say(service, "Mine.")
    store = service.readers.comments
    for user_id, error in (("bob", NotFound), ("guest", InvalidInput), ("", NotFound)):
        with pytest.raises(error):
            await store.edit(user_id, comment, "Theirs.")
        with pytest.raises(error):
            await store.remove(user_id, comment)
    for text in ("", " \n", "x" * (MOST_CHARACTERS + 1)):
        with pytest.raises(InvalidInput, match="1 to 16,000 characters"):
            await store.edit("ada", comment, text)
    assert await texts(service) == ["Mine."]


# Quarantine


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
async def test_quarantine_hides_comments_until_they_are_released(service, session_factory, is_late):
    await say(service, "Kind.", user_id="bob", interaction_id="kind")
    await say(service, "Spam.", user_id="spammer", after=1)
    quarantine = Quarantine(session_factory)
    decision = Decision("op", "spam", confirm=True)
    await quarantine.add(Target.READER, ["spammer"], decision)
    late = await say(service, "More spam.", user_id="spammer", after=2) if is_late else None
    store = service.readers.comments
    assert await texts(service) == ["Kind."]
    assert (await store.on("k1")).total == 1
    assert await store.counts(["k1"]) == {"k1": 1}
    if late is not None:
        with pytest.raises(NotFound):  # what nobody sees is not edited
            await store.edit("spammer", late, "Less spam.")
    await quarantine.release(Target.READER, ["spammer"], decision)
    assert await texts(service) == ["Kind.", "Spam.", *(["More spam."] if is_late else [])]
    await quarantine.add(Target.EVENT, ["kind"], decision)
    assert "Kind." not in await texts(service)
    assert (await service.record.verify()).differences == 0


# Erasure and export


async def test_comments_go_with_their_reader_and_with_the_log_of_a_kblock(
    service, session_factory, database, database_url
):
    await put(service)
    erasure = Erasure(session_factory)
    for user in ("ada", "bob"):
        for kblock_id in ("k1", "k2"):
            await say(service, f"{user} on {kblock_id}", kblock_id, user)
    edited = await say(service, "A zebra, first.", "k3")
    await service.readers.comments.edit("ada", edited, "A zebra, then.")
    pieces = [piece async for piece in PersonalData(session_factory).export("ada")]
    found = json.loads(b"".join(pieces))
    assert [each["text"] for each in found["comments"]] == [
        "ada on k1",
        "ada on k2",
        "A zebra, then.",
    ]
    assert found["comments"][2]["edited_at"] is not None
    receipt = await erasure.erase(Subject.READER, "ada")
    assert receipt.counts["comments"] == 3
    assert await places_of(database, "zebra") == []
    assert not any(b"zebra" in content for content in files_of(database_url))
    assert [each.text for each in await stored(database)] == ["bob on k1", "bob on k2"]
    with pytest.raises(Erased):
        await service.record.record_interaction(
            "ada", "k1", "engage", interaction_type="comment", metadata={"text": "Again."}
        )
    with pytest.raises(NotFound):
        await service.readers.comments.edit("ada", edited, "Third.")
    await erasure.erase(Subject.KBLOCK, "k2")
    assert [each.text for each in await stored(database)] == ["bob on k1"]
    assert await texts(service, "k2") == []


# The migration


async def test_the_migration_copies_the_comments_of_the_log(service, database, monkeypatch):
    """The log is that of an earlier version; steps are small, so that there are several."""
    monkeypatch.setattr(migration, "STEP", 3)
    odd = {
        "e90": "no JSON", "e91": "[]", "e92": '{"text": "\\ud800"}', "e93": '{"text": "a\\u0000b"}',
        "e94": '{"text": 1}', "e95": None, "e96": "[" * 100_000, "e97": '{"text": "  "}',
    }  # fmt: skip
    for n in range(8):
        kind = "comment" if n % 4 else "copy"
        await say(service, f" Comment {n} ", f"k{n % 2}", after=n, interaction_id=f"e{n}",
                  interaction_type=kind)  # fmt: skip
    await say(service, "Of a guest.", user_id="guest")
    expected = await stored(database)
    row = Interaction(user_id="ada", kblock_id="k1", action="engage", interaction_type="comment")
    entry = row.entry(NOW, "e")._asdict() | {"updated_at": NOW}
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(delete(COMMENTS))
        await connection.execute(
            insert(LOG),
            [entry | {"id": key, "interaction_metadata": given} for key, given in odd.items()],
        )
    before = await log(database)
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execution_options(schema_translate_map=None)
        await connection.run_sync(migration.copy)
    assert await stored(database) == expected
    assert [each.comment_id for each in expected] == ["e1", "e2", "e3", "e5", "e6", "e7"]
    assert await log(database) == before


def test_both_readings_of_metadata_agree():
    for given in (None, "", "{}", "[]", '{"text": " x "}', '{"text": 1}', "no JSON", "[" * 9_999):
        assert text_in(given) == migration.text_in(given)
