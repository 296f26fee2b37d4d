"""Units of experiments: readers, and sessions of guests."""

from typing import NamedTuple

from harken.domain.feedback import GUEST


class Unit(NamedTuple):
    """The unit that is assigned to an arm: a reader, or the session of a guest."""

    user_id: str
    session_id: str | None = None

    @property
    def is_guest(self) -> bool:
        """Whether the session stands for the unit."""
        return self.user_id == GUEST

    @property
    def guest_session(self) -> str:
        """The session that stands for a guest; empty for a reader."""
        return (self.session_id or "") if self.is_guest else ""

    @property
    def id(self) -> str:
        """The id by which the unit is assigned; empty for a guest without a session."""
        return self.guest_session if self.is_guest else self.user_id
