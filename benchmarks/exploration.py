"""What exploration costs and brings, for simulated readers whose interests are known.

python -m benchmarks.exploration --seeds 2 3

One process, no HTTP, SQLite in a temporary file. Each policy is simulated for a week in each world
with each seed: all pages are of the personal feed, some of them explored.

    interest     the mean interest of the first ten items of a page
    regret       that of the ten best K-Blocks that there were, less the interest
    known        the interest of those of the ten that somebody had touched before
    good, in 24h of the new K-Blocks of the best fifth by what all readers think of them, the share
                 that came among the first ten of five pages within a day
    hours        until then, in the median of these K-Blocks; those that never did count as the most
"""

import argparse
import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from benchmarks.simulation import DAYS, VARIANTS, Variant, say, scratch
from harken.domain.slates import FeedPage
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.index import thompson
from harken.services.personal.impressions import Impressions
from harken.services.simulation.readers import FADING
from harken.services.simulation.simulator import (
    FeedShare,
    SimulationPlan,
    Simulator,
)
from harken.services.simulation.world import World

SHOWN, ENOUGH = 10, 5
FIRST_DAYS = 5  # K-Blocks that came later have too little time left

POLICIES: Mapping[str, Sequence[FeedShare]] = {
    "none": [FeedShare(1.0, "personal")],
    "thompson, a quarter": [
        FeedShare(0.75, "personal"), FeedShare(0.25, "personal", explore="thompson"),
    ],
    "thompson, all": [FeedShare(1.0, "personal", explore="thompson")],
    "temperature 0.5, a quarter": [
        FeedShare(0.75, "personal"), FeedShare(0.25, "personal", temperature=0.5),
    ],
    "temperature 0.5, all": [FeedShare(1.0, "personal", temperature=0.5)],
}  # fmt: skip
WORLDS = ("as in the demo", "labels say nothing")


class Shown(NamedTuple):
    """The ten first items of a page."""

    at: datetime
    ids: list[str]
    interest: float
    best: float
    known: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exploration", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", type=int, nargs="*", default=[2, 3])
    parser.add_argument("--worlds", nargs="*", default=WORLDS)
    parser.add_argument("--policies", nargs="*", default=[*POLICIES])
    parser.add_argument("--evidence", type=float, default=thompson.EVIDENCE)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    found = {}
    for world in options.worlds:
        say(f"\n{world}\n")
        say("| explored | interest | regret | known | good, in 24h | all, in 24h | hours |")
        say("|---|---:|---:|---:|---:|---:|---:|")
        for name in options.policies:
            with patch.object(thompson, "EVIDENCE", options.evidence):
                rows = [
                    asyncio.run(_run(VARIANTS[world], POLICIES[name], seed))
                    for seed in options.seeds
                ]
            found[f"{world}: {name}"] = rows
            say(f"| {name} | {' | '.join(_cell(rows, each) for each in rows[0])} |")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))
    return 0


def _cell(rows: Sequence[Mapping[str, float]], name: str) -> str:
    values = [row[name] for row in rows]
    return f"{np.mean(values):.3f} ({min(values):.3f}–{max(values):.3f})"


class _Truth:
    """What readers would be interested in, without computing it anew for each page."""

    def __init__(self, world: World) -> None:
        self._ids = [kblock.id for kblock in world.kblocks]
        self._readers = {reader.user_id: reader for reader in world.readers}
        self._relevance = dict(zip(self._readers, world.relevances(), strict=True))
        self._created = np.array([_seconds(kblock.created_at) for kblock in world.kblocks])
        self._fades = np.array([kblock.kind == FADING for kblock in world.kblocks])

    def interests(self, user_id: str, at: datetime, opened: Set[str]) -> dict[str, float]:
        """Return the interest in each K-Block that was made by then, as `SimulatedReader` does."""
        habits, there = self._readers[user_id].habits, self._created <= at.timestamp()
        kept = np.ones(len(self._ids))
        if habits.fades is not None:
            age = (at.timestamp() - self._created) / habits.fades.total_seconds()
            kept = np.where(self._fades, np.exp2(-np.maximum(age, 0.0)), 1.0)
        found = (self._relevance[user_id] * kept).tolist()
        return {
            kblock_id: interest * (habits.rereads if kblock_id in opened else 1.0)
            for kblock_id, interest, is_there in zip(self._ids, found, there.tolist(), strict=True)
            if is_there
        }


def _seconds(at: datetime | None) -> float:
    return 0.0 if at is None else at.timestamp()


class _Watched(FeedService):
    """Notes the value of each page that is served, by the truth at that moment."""

    player: Simulator
    truth: _Truth
    seen: list[Shown]

    async def page(self, request: FeedRequest) -> FeedPage:
        """Serve a page as a `FeedService` does, and note its first ten items."""
        page = await super().page(request)
        opened, user_id = self.player.reader_state.opened, str(request.user_id)
        interests = self.truth.interests(user_id, self.player.now, opened[user_id])
        ids = [item.id for item in page.items[:SHOWN]]
        touched: set[str] = set().union(*opened.values())
        known = [interests[each] for each in ids if each in touched]
        best = sorted(interests.values())[-SHOWN:]
        self.seen.append(
            Shown(
                self.player.now, ids, float(np.mean([interests[each] for each in ids])),
                float(np.mean(best)), float(np.mean(known)) if known else np.nan,
            )
        )  # fmt: skip
        return page


async def _run(variant: Variant, mix: Sequence[FeedShare], seed: int) -> dict[str, float]:
    async with scratch(variant, seed, _Watched) as (service, world, clock, _):
        # A simulated second takes no time, so what was shown is read for each page.
        service.impressions = Impressions(service.ledger, max_age=-1.0)
        plan = SimulationPlan(clock(), DAYS, seed, mix, variant.clicks)
        service.player, service.seen = Simulator(service, clock, world, plan), []
        service.truth = _Truth(world)
        await service.player.run()
    return _figures(service.player, service.seen)


def _figures(player: Simulator, seen: Sequence[Shown]) -> dict[str, float]:
    interest = float(np.mean([each.interest for each in seen]))
    reached = _reached(seen)
    new = [
        kblock for kblock in player.published
        if kblock.created_at is not None
        and timedelta() <= kblock.created_at - player.plan.begins <= timedelta(days=FIRST_DAYS)
    ]  # fmt: skip
    worth = np.mean([reader.relevances(new) for reader in player.world.readers], axis=0)
    good = {kblock.id for kblock, each in zip(new, worth, strict=True)
            if each >= np.quantile(worth, 0.8)}  # fmt: skip
    waits = {kblock.id: _hours(reached.get(kblock.id), kblock.created_at) for kblock in new}
    of_good = [hours for kblock_id, hours in waits.items() if kblock_id in good]
    return {
        "interest": interest,
        "regret": float(np.mean([each.best for each in seen])) - interest,
        "known": float(np.nanmean([each.known for each in seen])),
        "good, in 24h": float(np.mean([hours <= 24 for hours in of_good])),
        "all, in 24h": float(np.mean([hours <= 24 for hours in waits.values()])),
        "hours": float(np.median(of_good)),
    }


def _reached(seen: Sequence[Shown]) -> dict[str, datetime]:
    """Return when K-Blocks were among the first ten for the fifth time."""
    times: defaultdict[str, list[datetime]] = defaultdict(list)
    for shown in seen:
        for kblock_id in shown.ids:
            times[kblock_id].append(shown.at)
    return {each: at[ENOUGH - 1] for each, at in times.items() if len(at) >= ENOUGH}


def _hours(at: datetime | None, created: Any) -> float:
    return 24.0 * DAYS if at is None else (at - created) / timedelta(hours=1)


if __name__ == "__main__":
    sys.exit(main())
