"""Values from the whole range of what is accepted, the ends of each range preferred."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

from harken.domain.feedback import MAX_DWELL_MS
from harken.domain.kblock import MAX_EDGES, MAX_LABELS, MAX_LOSS, MAX_PATH, MAX_TITLE
from harken.domain.times import EARLIEST_TIME, LATEST_TIME

ID_LENGTH = 64
MICRO = timedelta(microseconds=1)
DAY = timedelta(days=1)
UNIX_ZERO = datetime(1970, 1, 1, tzinfo=UTC)
# Of one, two and more code points, of one to four bytes, from right to left, and such as markup,
# SQL and JSON have a meaning for.
PIECES = (
    "a", "Z", "0", "_", "-", ".", "~", "é", "e\u0301", "ß", "İ", "ﬁ", "日本", "שלום", "مرحبا",
    "\N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-6}", "\N{GRINNING FACE}", "\U0010fffd",
    "<b>", "&amp;", '"', "'", "\\", "%", "%2F", "{", "}}", "$1", "--", ";", "[[", "`", "#", "+",
)  # fmt: skip
SPACED = (*PIECES, " ", "\u00a0", "\u3000", "\t", "\n", "\u200d", "\u202e", "\ufeff", "# ", "\n\n")
LOSSES = (None, 0, 0.0, 5e-324, 1e-12, 0.2, 0.5, 1, 1.0000000000000002, 2.5, MAX_LOSS)


class Extremes:
    """Draws values; the same seed draws the same ones."""

    def __init__(self, seed: int, now: datetime) -> None:
        self.random = Random(seed)
        self.now = now

    def one(self, *values: Any) -> Any:
        return self.random.choice(values)

    def text(self, least: int, most: int, pieces: Sequence[str] = PIECES) -> str:
        """Return a text of so many characters, as often as not of an extreme length."""
        length = self.one(least, most, self.random.randint(least, min(most, least + 12)))
        made = ""
        while len(made) < length:
            made += self.one(*pieces)
        return made[:length]

    def words(self, most: int) -> str:
        """Return a text that is not blank."""
        return self.text(0, most - 1, SPACED) + "x"

    def label(self) -> str:
        """Return a label: a few that many share, and others."""
        return str(self.one("a", "b", "\N{GRINNING FACE}", self.text(1, ID_LENGTH)))

    def labels(self) -> list[str]:
        count = self.one(0, 0, 1, 2, self.random.choice([3, MAX_LABELS]))
        return [self.label() for _ in range(count)]

    def identifier(self, number: int) -> str:
        """Return an id that no other has."""
        own = f"{number:x}~"
        return own + self.text(0, ID_LENGTH - len(own))

    def time(self, least: datetime = EARLIEST_TIME, most: datetime = LATEST_TIME) -> datetime:
        """Return a time of a range: its ends, about now and 1970, and where others overflow."""
        known = (
            least, least + MICRO, most, most - MICRO, self.now, self.now - DAY, self.now + DAY,
            self.now + DAY + timedelta(minutes=1), UNIX_ZERO, UNIX_ZERO - MICRO,
            datetime(1901, 12, 13, tzinfo=UTC), datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
            datetime(2099, 1, 1, tzinfo=UTC), datetime(2262, 4, 12, tzinfo=UTC),
            least + (most - least) * self.random.random(),
        )  # fmt: skip
        drawn: datetime = self.one(*(at for at in known if least <= at <= most))
        return drawn

    def written(self, at: datetime) -> str:
        """Write a time with some offset."""
        minutes = self.one(0, 0, 1439, -1439, 345, -210)
        return at.astimezone(timezone(timedelta(minutes=minutes))).isoformat()

    def kblock(self, kblock_id: str, others: Sequence[str]) -> dict[str, Any]:
        """Return the fields of a K-Block."""
        targets = (kblock_id, *others, self.text(1, ID_LENGTH))
        edges = [
            {"target": self.one(*targets), "kind": self.one("links", "contradicts")}
            for _ in range(self.one(0, 0, 1, 3, self.one(5, 5, MAX_EDGES)))
        ]
        return {
            "id": kblock_id,
            "title": self.words(MAX_TITLE),
            "content": self.text(0, self.one(0, 200, 2_000), SPACED),
            "path": self.one(None, self.text(1, MAX_PATH), "https://example.org/a", "a/b.md"),
            "kind": self.one("note", self.text(1, ID_LENGTH)),
            "layer": self.one(None, 0, 1, 2, 3, 7),
            "author": self.one(None, self.label()),
            "tags": self.labels(),
            "principles": self.labels(),
            "galois_loss": self.one(*LOSSES),
            "created_at": self.one(None, self.written(self.time()), self.written(self.time())),
            "edges": edges,
        }

    def event(self, readers: Sequence[str], kblock_ids: Sequence[str]) -> dict[str, Any]:
        """Return the fields of an event."""
        kblock_id = self.one(*kblock_ids)
        action = self.one("view", "view", "engage", "engage", "dismiss", "contradict")
        event: dict[str, Any] = {
            "user_id": self.one(*readers),
            "kblock_id": kblock_id,
            "action": action,
            "dwell_time_ms": self.one(None, 0, 1, MAX_DWELL_MS),
            "interaction_type": self.one(None, "comment", self.text(1, ID_LENGTH)),
            "metadata": self.one(None, {}, {"": [None, 1e308, -5e-324, 2**63]}, self._said(action)),
            "request_id": self.one(None, self.text(1, ID_LENGTH)),
            "position": self.one(None, 0, 2**31 - 1),
            "session_id": self.one(None, self.text(1, ID_LENGTH)),
        }
        event |= self.one({}, self._happened(), self._happened_by_a_wrong_clock())
        return event

    def _said(self, action: str) -> dict[str, Any] | None:
        other = f"other {self.text(0, 20)}"
        return (
            {"contradicts": other}
            if action == "contradict"
            else {"x": self.text(0, 15_000)[:4_000]}
        )

    def _happened(self) -> dict[str, str]:
        return {"occurred_at": self.written(self.time(UNIX_ZERO, self.now + timedelta(minutes=4)))}

    def _happened_by_a_wrong_clock(self) -> dict[str, str]:
        sent = self.time()
        most = min(self.now - UNIX_ZERO - DAY, sent - EARLIEST_TIME)
        ago = self.one(timedelta(), MICRO, most, most * self.random.random())
        ago = min(ago, most)
        return {"sent_at": self.written(sent), "occurred_at": self.written(sent - ago)}

    def weights(self) -> dict[str, float]:
        """Return what signals weigh."""
        names = ("attention", "principles", "recency", "coherence", "popularity")
        extremes = (-1e6, 1e6, 0.0, -0.0, 5e-324, 1.0)
        return {name: self.one(*extremes) for name in names if self.one(True, False)}
