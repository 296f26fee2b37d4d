"""Honest readers of a small feed, as a log: heavy tails, hours of the day, bursts on new items."""

import numpy as np

from harken.services.integrity.detectors import EventLog, EventRow
from harken.services.integrity.detectors.event_log import DAY, HOUR, MICROS

START = 1_700_000_000 * MICROS // DAY * DAY
WEEKS = 12


def honest_rows(seed: int, readers: int = 300, kblocks: int = 240) -> list[EventRow]:
    """Return views and likes of `readers`, who mostly read what is new, when they are awake."""
    rng = np.random.default_rng(seed)
    activity = rng.pareto(1.5, readers) + 0.3
    activity /= activity.sum()
    rows = []
    for kblock in range(kblocks):
        begun = START + int(rng.uniform(0, WEEKS * 7 * DAY))
        audience = min(int(rng.pareto(1.3) * 8) + 3, readers // 3)
        chosen = rng.choice(readers, audience, replace=False, p=activity)
        for reader in chosen:
            # A third reads at once, as after a notification; the others in the next days.
            delay = rng.exponential(0.5 * HOUR if rng.random() < 0.33 else 1.5 * DAY)
            at = begun + int(delay)
            if at % DAY < 7 * HOUR:
                at += 8 * HOUR + int(rng.uniform(0, 2 * HOUR))
            session = f"s{reader}-{at // DAY}"
            names = f"r{reader}", f"k{kblock}"
            rows.append(EventRow(*names, "view", at, int(rng.exponential(40_000)), session))
            if rng.random() < 0.2:
                later = at + int(rng.uniform(5, 90) * MICROS)
                rows.append(EventRow(*names, "engage", later, None, session))
    return rows


def honest_log(seed: int) -> EventLog:
    return EventLog.from_rows(honest_rows(seed))
