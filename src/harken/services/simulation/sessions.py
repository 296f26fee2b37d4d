"""What one reader does with one page: the events that a client would record.

    examined, clicked   by the click model, among the items that the reader scrolls past
    view                what was clicked is opened, and read for a while
    engage              some of what was opened and is of interest
    dismiss             some of what was looked at, not opened, and annoys

What was passed over leaves no event.
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
"""How long a reader looks at an item before they open it or go on."""
ENGAGEMENTS = ("like", "bookmark", "comment")


@dataclass(frozen=True)
class ServedPage:
    """A page as a reader sees it; `position` is that of its first item, from 0 across pages."""

    request_id: str
    kblocks: Sequence[KBlock]
    position: int = 0


def read(
    reader: SimulatedReader,
    page: ServedPage,
    at: datetime,
    model: ClickModel,
    rng: np.random.Generator,
    opened: Collection[str] = (),
) -> list[Interaction]:
    """Draw what a reader does with a page that they open at some time, in the order of time.

    `opened` are the ids of what they opened before. The ids of the events follow from the request,
    so that they count once however often they are sent.
    """
    kblocks = page.kblocks[: reader.habits.scrolled(rng)]
    interest = reader.interests(kblocks, at, opened)
    sample = model.sample(interest, rng, page.position)
    events: list[Interaction] = []
    for place in np.flatnonzero(sample.examined).tolist():
        at += GLANCE
        act = _Act(reader, page, place, at)
        if sample.clicked[place]:
            stay = reader.habits.dwell(_words(kblocks[place]), interest[place], rng)
            events.append(act.event(FeedbackAction.VIEW, dwell_time_ms=stay // _MILLISECOND))
            at += stay
            if rng.random() < reader.habits.engages * interest[place]:
                kind = ENGAGEMENTS[int(rng.integers(len(ENGAGEMENTS)))]
                events.append(act.event(FeedbackAction.ENGAGE, stay, interaction_type=kind))
        elif kblocks[place].id not in opened and reader.is_put_off(kblocks[place], rng):
            events.append(act.event(FeedbackAction.DISMISS))
    return events


_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class _Act:
    """A reader at an item of a page."""

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
