"""Simulated attacks: what is planted is what was asked for, and the log itself stays as it was."""

import numpy as np
import pytest

from harken.services.integrity.detectors import EventLog, EventRow
from harken.services.integrity.detectors.event_log import DAY, HOUR, MICROS
from harken.services.simulation.rings import DRIP, Attack, Strength, plant
from tests.support.audiences import honest_log

LOG = honest_log(5)


def own_events(planted):
    return planted.log.readers >= len(LOG.reader_ids)


@pytest.mark.parametrize("strength", Strength)
def test_the_log_stays_as_it_was(strength):
    planted = plant(LOG, Attack(strength, 8, 3), seed=1)
    own = own_events(planted)
    for name in ("readers", "kblocks", "sessions", "actions", "at", "dwells"):
        np.testing.assert_array_equal(getattr(planted.log, name)[~own], getattr(LOG, name))
    assert (np.diff(planted.log.at) >= 0).all()
    assert planted.log.reader_ids[: len(LOG.reader_ids)] == LOG.reader_ids
    assert planted.accounts == set(planted.log.reader_ids) - set(LOG.reader_ids)


@pytest.mark.parametrize(
    ("strength", "within"),
    [(Strength.MINUTES, 5 * 60 * MICROS), (Strength.JITTER, HOUR), (Strength.DRIP, DRIP + HOUR)],
)
def test_accounts_touch_the_targets_in_the_time_of_their_strength(strength, within):
    planted = plant(LOG, Attack(strength, 8, 3, camouflage=0), seed=2)
    own, log = own_events(planted), planted.log
    for target in planted.targets:
        hits = np.flatnonzero(own & (log.kblocks == target) & (log.actions == 0))
        accounts = set(log.readers[hits].tolist())
        assert len(accounts) >= (4 if strength is Strength.DRIP else 8)
        first = [int(log.at[hits][log.readers[hits] == each].min()) for each in accounts]
        assert max(first) - min(first) <= within


@pytest.mark.parametrize("strength", Strength)
def test_all_but_the_fastest_also_touch_what_others_do(strength):
    planted = plant(LOG, Attack(strength, 8, 3, camouflage=10), seed=2)
    elsewhere = own_events(planted) & ~np.isin(planted.log.kblocks, planted.targets)
    expected = 0 if strength is Strength.MINUTES else 8 * 10
    assert 0.8 * expected <= elsewhere.sum() <= expected


def test_the_same_seed_plants_the_same_ring():
    one, other = (plant(LOG, Attack(Strength.JITTER), seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.log.at, other.log.at)
    assert one.start == other.start


def test_a_log_that_is_too_short_is_refused():
    short = EventLog.from_rows([EventRow("a", "k", "view", 1), EventRow("b", "k", "view", DAY)])
    with pytest.raises(ValueError, match="too short"):
        plant(short, Attack(Strength.DRIP), seed=0)
    with pytest.raises(ValueError, match="are fresh"):
        plant(LOG, Attack(Strength.DRIP, targets=10_000), seed=0)
