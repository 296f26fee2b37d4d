"""Readers and K-Blocks as subjects of an erasure, and the keyed digests that name them after it."""

import hmac
from enum import StrEnum

from harken.domain.feedback import GUEST
from harken.errors import InvalidInput, Problem


class Subject(StrEnum):
    """The kind of subject of an erasure."""

    READER = "reader"
    KBLOCK = "kblock"


def digest(secret: str, subject: Subject, own_id: str) -> str:
    """Return the HMAC-SHA256 of an id, as 64 hexadecimal digits.

    Without the secret of the database, nobody can tell which id it belongs to.
    """
    return hmac.digest(secret.encode(), f"{subject}\0{own_id}".encode(), "sha256").hex()


def check_person(user_id: str) -> None:
    """Raise InvalidInput for `guest`, which is not one person."""
    if user_id == GUEST:
        raise InvalidInput(
            Problem("id", f"{GUEST} stands for all unknown readers; give a reader's own id")
        )
