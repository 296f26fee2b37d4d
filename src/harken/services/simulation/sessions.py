"""Simulates what a reader does with a page: the events that a client would record.

    examined, clicked   drawn by the click model, among the items that the reader scrolls past
    view                a clicked item is opened, and read for some time
    engage              drawn for opened items, by the interest in them
    dismiss             drawn for items that were examined, not opened, and annoy the reader

An item that was passed over makes no event.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from harken.domain.feedback import FeedbackAction, Interaction
from harken.domain.kblock import KBlock
from harken.services.simulation.clicks import ClickModel
from harken.services.simulation.readers import SimulatedReader

GLANCE = timedelta(seconds=1.5)
"""How long a reader looks at an item before they open it or continue."""
ENGAGEMENTS = ("like", "bookmark", "comment")


@dataclass(frozen=True)
class ServedPage:
    """A served page; `position` is that of its first item, from 0 across pages."""

    request_id: str
    kblocks: Sequence[KBlock]
    position: int = 0


def simulate_session(
    reader: SimulatedReader,
    page: ServedPage,
    at: datetime,
    model: ClickModel,
    rng: np.random.Generator,
    opened: Collection[str] = (),
) -> list[Interaction]:
    """Draw the events of a reader who opens a page at a time, in the order of time.

    `opened` are the ids of the K-Blocks that they opened before. The ids of events are made from
    the request id, so an event counts once even if it is sent several times.
    """
    kblocks = page.kblocks[: reader.habits.scrolled(rng)]
    interest = reader.interests(kblocks, at, opened)
    sample = model.sample(interest, rng, page.position)
    events: list[Interaction] = []
    for place in np.flatnonzero(sample.examined).tolist():
        at += GLANCE
        position = _Position(reader, page, place, at)
        if sample.clicked[place]:
            stay = reader.habits.dwell(_words(kblocks[place]), interest[place], rng)
            events.append(position.event(FeedbackAction.VIEW, dwell_time_ms=stay // _MILLISECOND))
            at += stay
            if rng.random() < reader.habits.engages * interest[place]:
                kind = ENGAGEMENTS[int(rng.integers(len(ENGAGEMENTS)))]
                events.append(position.event(FeedbackAction.ENGAGE, stay, interaction_type=kind))
        elif kblocks[place].id not in opened and reader.is_put_off(kblocks[place], rng):
            events.append(position.event(FeedbackAction.DISMISS))
    return events


_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class _Position:
    """A reader at one item of a page, at a time."""

    reader: SimulatedReader
    page: ServedPage
    place: int
    at: datetime

    def event(
        self, action: FeedbackAction, later: timedelta = timedelta(), **more: Any
    ) -> Interaction:
        position = self.page.position + self.place
        return Interaction(
            user_id=self.reader.user_id,
            kblock_id=self.page.kblocks[self.place].id,
            action=action,
            interaction_id=f"{self.page.request_id}-{position}-{action}",
            occurred_at=self.at + later,
            request_id=self.page.request_id,
            position=position,
            session_id=self.page.request_id,
            **more,
        )


def _words(kblock: KBlock) -> int:
    return len(kblock.content.split())
