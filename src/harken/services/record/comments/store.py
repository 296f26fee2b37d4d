"""The store of comments: listing, counting, editing and removing them.

A comment whose event is in quarantine is neither listed nor counted, and comes back when it is
released. An edit or a removal changes no event and no statistic: the log keeps what was written.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, select, update

from harken.database import Database, Kind, is_in_list, translated
from harken.errors import InvalidInput, NotFound, Problem
from harken.models.types import utc_now
from harken.services.record.admission.quarantines import SET_ASIDE
from harken.services.record.admission.subjects import check_person
from harken.services.record.comments.recording import COMMENTS

MOST_LISTED = 100
MOST_CHARACTERS = 16_000
"""The length of a comment that was edited; one that is recorded is bounded by its metadata."""


class Comment(NamedTuple):
    """A comment as it reads now; `edited_at` is None if it was never edited."""

    comment_id: str
    kblock_id: str
    user_id: str
    text: str
    created_at: datetime | None
    edited_at: datetime | None


class CommentPage(NamedTuple):
    """Some comments on a K-Block, the oldest first, and how many there are."""

    comments: list[Comment]
    total: int
    next_offset: int | None


_COLUMNS = [COMMENTS.c[name] for name in Comment._fields]


class CommentStore:
    """The comments of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def on(self, kblock_id: str, limit: int = MOST_LISTED, offset: int = 0) -> CommentPage:
        """Return comments on a K-Block, the oldest first: `limit` of them, from `offset` on.

        Raises DatabaseUnavailable.
        """
        own = COMMENTS.c.kblock_id == kblock_id, is_shown()
        wanted = (
            select(*_COLUMNS)
            .where(*own)
            .order_by(COMMENTS.c.created_at, COMMENTS.c.comment_id)
            .limit(limit)
            .offset(offset)
        )
        counted = select(func.count()).select_from(COMMENTS).where(*own)
        async with self._database.reading(Kind.SNAPSHOT) as connection:
            total = int((await connection.execute(counted)).scalar_one())
            found = [Comment(*row) for row in await connection.execute(wanted)]
        after = offset + len(found)
        return CommentPage(found, total, after if found and after < total else None)

    async def latest_on(self, kblock_id: str, limit: int = MOST_LISTED) -> CommentPage:
        """Return the latest comments on a K-Block, the oldest of them first.

        `next_offset` is None. Raises DatabaseUnavailable.
        """
        own = COMMENTS.c.kblock_id == kblock_id, is_shown()
        order = COMMENTS.c.created_at.desc(), COMMENTS.c.comment_id.desc()
        wanted = select(*_COLUMNS).where(*own).order_by(*order).limit(limit)
        counted = select(func.count()).select_from(COMMENTS).where(*own)
        async with self._database.reading(Kind.SNAPSHOT) as connection:
            total = int((await connection.execute(counted)).scalar_one())
            found = [Comment(*row) for row in await connection.execute(wanted)]
        return CommentPage(found[::-1], total, None)

    async def counts(self, kblock_ids: Collection[str]) -> Mapping[str, int]:
        """Return how many comments K-Blocks have; those without any are left out."""
        if not kblock_ids:
            return {}
        bound = {"ids": self._database.as_list(kblock_ids)}
        async with self._database.reading() as connection:
            found = await connection.execute(_counts(self._database.is_postgresql), bound)
            return {row[0]: int(row[1]) for row in found}

    async def edit(self, user_id: str, comment_id: str, text: str) -> Comment:
        """Replace the text of a reader's own comment, and return it.

        The same text again keeps the time of the edit. Raises InvalidInput for `guest` or a text
        that is empty or too long, NotFound if the reader wrote no such comment, or
        DatabaseUnavailable.
        """
        check_person(user_id)
        wanted = text.strip()
        if not 1 <= len(wanted) <= MOST_CHARACTERS:
            raise InvalidInput(Problem("text", f"must have 1 to {MOST_CHARACTERS:,} characters"))
        columns = COMMENTS.c
        at = case((columns.text != wanted, utc_now()), else_=columns.edited_at)
        statement = (
            update(COMMENTS)
            .where(_is_own(user_id, comment_id), is_shown())
            .values(text=wanted, edited_at=at)
            .returning(*_COLUMNS)
        )
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                row = (await connection.execute(statement)).one_or_none()
        if row is None:
            raise _missing(user_id, comment_id)
        return Comment(*row)

    async def remove(self, user_id: str, comment_id: str) -> None:
        """Delete a reader's own comment; its event stays in the log, and counts.

        Raises InvalidInput for `guest`, NotFound if the reader wrote no such comment, or
        DatabaseUnavailable.
        """
        check_person(user_id)
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                gone = await connection.execute(
                    delete(COMMENTS).where(_is_own(user_id, comment_id))
                )
        if not gone.rowcount:
            raise _missing(user_id, comment_id)


def is_shown() -> ColumnElement[bool]:
    """Tell whether the event of a comment is not in quarantine."""
    aside = SET_ASIDE.c.interaction_id == COMMENTS.c.comment_id
    return ~exists().where(aside).correlate(COMMENTS)


def _is_own(user_id: str, comment_id: str) -> ColumnElement[bool]:
    return and_(COMMENTS.c.comment_id == comment_id, COMMENTS.c.user_id == user_id)


def _missing(user_id: str, comment_id: str) -> NotFound:
    return NotFound(f"{user_id} has written no comment {comment_id}")


@cache
def _counts(is_postgresql: bool) -> Any:  # noqa: FBT001 — the key of the cache
    own = is_in_list(COMMENTS.c.kblock_id, "ids", postgresql=is_postgresql)
    return (
        select(COMMENTS.c.kblock_id, func.count())
        .where(own, is_shown())
        .group_by(COMMENTS.c.kblock_id)
    )
