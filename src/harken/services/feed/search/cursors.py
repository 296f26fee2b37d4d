"""Cursors of searches: how far a search was read, and the order of its first results.

The order is in the cursor, so that a search writes nothing to the database.
"""

import base64
import binascii
import hashlib
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from itsdangerous import BadData, URLSafeSerializer
from numpy.typing import NDArray

from harken.domain.slates import CURSOR_LIFETIME, Key
from harken.errors import CursorExpired, InvalidInput, Problem

_NARROW, _WIDE = "<u4", "<i8"


class SearchCursor(NamedTuple):
    """Where a search continues.

    digest: what was searched for.
    started_at, revision: of the first page; the pages after it are of the same K-Blocks.
    position: of the next item, counted from 0 across pages.
    ordered: how many numbers of the order were used up.
    after: the last item that was served in chronological order.
    numbers: the most relevant K-Blocks, best first.
    """

    digest: str
    started_at: datetime
    revision: int
    position: int
    ordered: int
    after: Key | None
    numbers: NDArray[np.int64]


class SearchCursors:
    """Writes and reads cursors, which are signed with a secret."""

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeSerializer(
            secret, salt="harken.search.cursor.1", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def encode(self, cursor: SearchCursor) -> str:
        """Write a cursor; its length grows with the numbers, to about 2,000 characters."""
        *values, numbers = cursor
        values[1] = cursor.started_at.timestamp()
        written = self._serializer.dumps([*values, *_packed(numbers)])
        return written if isinstance(written, str) else written.decode()

    def decode(self, text: str, digest: str, now: datetime) -> SearchCursor:
        """Read a cursor of a search.

        Raises InvalidInput for one of another search or of none, and CursorExpired.
        """
        try:
            values = self._serializer.loads(text)
            found, started_at, revision, position, ordered, after, form, packed = values
            numbers = np.frombuffer(base64.b64decode(packed), form).astype(np.int64)
        except (BadData, ValueError, TypeError, binascii.Error):
            raise InvalidInput(
                Problem("cursor", "was not made by this search, or was changed; start again")
            ) from None
        if found != digest:
            raise InvalidInput(
                Problem("cursor", "is of another search or reader; start again without it")
            )
        cursor = SearchCursor(
            digest, datetime.fromtimestamp(started_at, UTC), revision, position, ordered,
            None if after is None else Key(*after), numbers,
        )  # fmt: skip
        if now - cursor.started_at > CURSOR_LIFETIME:
            raise CursorExpired
        return cursor


def _packed(numbers: NDArray[np.int64]) -> tuple[str, str]:
    form = _NARROW if not len(numbers) or int(numbers.max()) < 2**32 else _WIDE
    return form, base64.b64encode(numbers.astype(form).tobytes()).decode()
