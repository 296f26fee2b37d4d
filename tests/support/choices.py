"""A synthetic log whose readers choose by a rule that the personal ranking does not know."""

import random

from harken.services.learning.impressions import Event
from tests.support.touches import DAY, touch

HOUR = DAY // 24


def choices(seed=0, count=1_000, days=60, readers=15):
    """Make a log whose readers prefer K-Blocks about four days old."""
    chance = random.Random(seed)
    log, made = [], 0
    for at in sorted(chance.randrange(days * DAY) for _ in range(count)):
        while made * 4 * HOUR <= at:
            log.append(Event(touch("maker", f"k{made}", made * 4 * HOUR)))
            made += 1
        k = (at - chance.randrange(84, 108) * HOUR) // (4 * HOUR)
        if chance.random() < 0.2:
            k = chance.randrange(made)
        if 0 <= k < made:
            log.append(Event(touch(f"u{chance.randrange(readers)}", f"k{k}", at + 1)))
    return sorted(log, key=lambda event: event.touch.at)
