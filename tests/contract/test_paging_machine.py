"""Paging while everything changes: what was in a feed at its first page comes exactly once."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.ext.asyncio import async_sessionmaker

from harken.config import Settings
from harken.database import Database, Kind, create_engine
from harken.domain.feeds import DEFAULT_FEEDS, RANKINGS
from harken.domain.kblock import KBlock
from harken.domain.preferences import Preferences
from harken.models import Base
from harken.services.feed import pagination
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from tests.faults import SOAK

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
IDS = [f"k{i}" for i in range(14)]
READER = "ada"

KBLOCKS = st.fixed_dictionaries(
    {
        "layer": st.none() | st.integers(0, 4),
        "galois_loss": st.none() | st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.6, 0.9, 1.5]),
        "created_at": st.integers(0, 6).map(lambda days: NOW - timedelta(days=days)),
        "principles": st.lists(st.sampled_from(["p", "q"]), max_size=2),
        "author": st.none() | st.sampled_from(["mira", "okoro"]),
        "tags": st.lists(st.sampled_from(["x", "y"]), max_size=2),
    }
)

# What the feed `own` is declared by, in turns, and what belongs to it then.
OWN: dict[str, tuple[dict[str, Any], Any]] = {
    "labelled": (
        {"sources": [{"kind": "tag", "value": "x"}, {"kind": "author", "value": "mira"}]},
        lambda fields: "x" in fields["tags"] or fields["author"] == "mira",
    ),
    "lossy": (
        {
            "filters": [{"field": "loss", "operator": "gt", "value": 0.15}],
            "ranking": "weighted",
            "weights": {"attention": 1},
        },
        lambda fields: fields["galois_loss"] is not None and fields["galois_loss"] > 0.15,
    ),
    "early": (
        {
            "filters": [
                {"field": "layer", "operator": "between", "value": [1, 3]},
                {"field": "time", "operator": "lt", "value": NOW.isoformat()},
            ],
            "ranking": "coherence",
        },
        lambda fields: fields["layer"] in (1, 2, 3) and fields["created_at"] < NOW,
    ),
}

BELONGS: dict[str, Any] = {
    "cosmos": lambda _: True,
    "coherent": lambda fields: fields["galois_loss"] is not None and fields["galois_loss"] <= 0.2,
    "axioms": lambda fields: fields["layer"] in (1, 2),
    "handwavy": lambda fields: fields["layer"] == 3 and (fields["galois_loss"] or 0) > 0.5,
}

VARIETIES = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([None, 0.0, 0.01, 1.0]),
        "most_per_author": st.none() | st.integers(1, 2),
        "most_per_tag": st.none() | st.integers(1, 2),
    }
)


class PagingMachine(RuleBasedStateMachine):
    """Drives one service; the model is `self.kblocks`, and for each reading under way a set."""

    url: ClassVar[str]

    @initialize(kblocks=st.lists(KBLOCKS, min_size=5, max_size=12))
    def open(self, kblocks: list[dict[str, Any]]) -> None:
        self.loop = asyncio.new_event_loop()
        self.engine = create_engine(Settings(database_url=self.url))
        self.run(self.clear())
        self.service = FeedService(async_sessionmaker(self.engine))
        self.kblocks: dict[str, dict[str, Any]] = {}
        self.hidden: set[str] = set()
        self.muted: set[str] = set()
        self.read: set[str] = set()
        self.hides_read = False
        self.own: str | None = None
        self.reading: dict[str, Any] | None = None
        self.put(list(zip(IDS, kblocks, strict=False)))

    async def clear(self) -> None:
        async with Database(async_sessionmaker(self.engine)).transaction(Kind.WRITE) as connection:
            for table in Base.metadata.sorted_tables:
                if table.name not in {"kblock_clock", "feed_half_lives"}:
                    await connection.execute(table.delete())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            while self.reading is not None:
                self.next_page(3)
            self.run(self.service.close())
            self.run(self.engine.dispose())
            self.loop.close()

    def put(self, kblocks: list[tuple[str, dict[str, Any]]]) -> None:
        self.run(
            self.service.kblocks.put(
                [KBlock.parse({"id": each, "title": each, **fields}) for each, fields in kblocks]
            )
        )
        self.kblocks.update(kblocks)
        self.excuse_muted()

    def excuse_muted(self) -> None:
        if self.reading:
            self.reading["excused"] |= {each for each in self.kblocks if self.is_muted(each)}

    def is_muted(self, kblock_id: str) -> bool:
        fields = self.kblocks[kblock_id]
        return not self.muted.isdisjoint({fields["author"], *fields["tags"]})

    @rule(
        tags=st.sets(st.sampled_from(["x", "y"])),
        authors=st.sets(st.sampled_from(["mira", "okoro"])),
        hide_read=st.booleans(),
    )
    def the_reader_prefers(self, tags: set[str], authors: set[str], *, hide_read: bool) -> None:
        preferences = Preferences(
            muted_tags=tuple(tags), muted_authors=tuple(authors), hide_read=hide_read
        )
        self.run(self.service.readers.prefer(READER, preferences))
        self.muted, self.hides_read = tags | authors, hide_read
        self.excuse_muted()
        self.excuse_read()

    @rule(kblock_ids=st.sets(st.sampled_from(IDS), min_size=1, max_size=3), is_read=st.booleans())
    def the_reader_reads(self, kblock_ids: set[str], *, is_read: bool) -> None:
        store = self.service.reading.store
        if is_read:
            changed = self.run(store.mark_read(READER, kblock_ids))
            assert set(changed) == (kblock_ids & self.kblocks.keys()) - self.read
            self.read |= set(changed)
        else:
            assert set(self.run(store.mark_unread(READER, kblock_ids))) == kblock_ids & self.read
            self.read -= kblock_ids
        self.excuse_read()

    def excuse_read(self) -> None:
        if self.reading and self.hides_read:
            self.reading["excused"] |= self.read

    def is_hidden(self, kblock_id: str) -> bool:
        is_read = self.hides_read and kblock_id in self.read
        return is_read or kblock_id in self.hidden or self.is_muted(kblock_id)

    @rule(own=st.none() | st.sampled_from(sorted(OWN)))
    def somebody_declares(self, own: str | None) -> None:
        if own:
            self.run(self.service.feeds.put("own", OWN[own][0]))
        elif self.own:
            self.run(self.service.feeds.delete("own"))
        self.own = own

    @rule(kblock_id=st.sampled_from(IDS), fields=KBLOCKS)
    def write_one(self, kblock_id: str, fields: dict[str, Any]) -> None:
        self.put([(kblock_id, fields)])

    @rule(kblock_id=st.sampled_from(IDS))
    def delete(self, kblock_id: str) -> None:
        self.run(self.service.kblocks.delete([kblock_id]))
        if self.kblocks.pop(kblock_id, None) and self.reading:
            self.reading["excused"].add(kblock_id)

    @rule(
        kblock_id=st.sampled_from(IDS),
        user=st.sampled_from(["bob", "guest"]),
        action=st.sampled_from(["view", "engage", "dismiss"]),
    )
    def somebody_else_acts(self, kblock_id: str, user: str, action: str) -> None:
        self.run(self.service.record.record_interaction(user, kblock_id, action))

    @rule(kblock_id=st.sampled_from(IDS))
    def the_reader_dismisses(self, kblock_id: str) -> None:
        self.run(self.service.record.record_interaction(READER, kblock_id, "dismiss"))
        self.hidden.add(kblock_id)
        if self.reading:
            self.reading["excused"].add(kblock_id)

    @rule(kblock_id=st.sampled_from(IDS), other=st.sampled_from(IDS))
    def somebody_contradicts(self, kblock_id: str, other: str) -> None:
        if kblock_id != other:
            self.run(
                self.service.record.record_interaction(
                    "bob", kblock_id, "contradict", metadata={"contradicts": other}
                )
            )

    @precondition(lambda self: self.reading is None)
    @rule(
        feed=st.sampled_from(
            ["own", *(each for each in DEFAULT_FEEDS if each != "contradictions")]
        ),
        ranking=st.none() | st.sampled_from(sorted(RANKINGS)),
        base=st.none() | st.sampled_from(sorted(BELONGS)),
        limit=st.integers(1, 4),
        variety=VARIETIES,
    )
    def first_page(
        self, feed: str, ranking: str | None, base: str | None, limit: int, variety: dict[str, Any]
    ) -> None:
        if feed == "own" and self.own is None:
            feed = "cosmos"
        base = base if feed == "personal" else None
        whose = base or ("cosmos" if feed == "personal" else feed)
        belongs = BELONGS[whose] if feed != "own" else OWN[self.own or ""][1]
        possible = {each for each, fields in self.kblocks.items() if belongs(fields)}
        expected = {each for each in possible if not self.is_hidden(each)}
        own = OWN[self.own][0].get("ranking", "chronological") if self.own else ""
        default = RANKINGS[own] if feed == "own" else DEFAULT_FEEDS[feed].ranking
        order = default if ranking is None else RANKINGS[ranking]
        if order.is_chronological:
            variety = {name: value for name, value in variety.items() if name != "temperature"}
        if variety.get("temperature"):
            variety = variety | {"seed": 7}  # so that what fails does so again
        request = FeedRequest(
            feed, user_id=READER, ranking=ranking, base_feed=base, limit=limit, **variety
        )
        page = self.run(self.service.page(request))
        assert page.total == len(expected)
        self.reading = {
            "feed": feed, "expected": expected, "excused": set(), "served": [],
            "possible": possible, "sampled": bool(variety.get("temperature")),
        }  # fmt: skip
        self.take(page, limit)

    @precondition(lambda self: self.reading is not None)
    @rule(limit=st.integers(1, 4))
    def next_page(self, limit: int) -> None:
        assert self.reading is not None
        request = FeedRequest(self.reading["feed"], cursor=self.reading["cursor"], limit=limit)
        self.take(self.run(self.service.page(request)), limit)

    def take(self, page: Any, limit: int) -> None:
        assert self.reading is not None
        assert len(page.items) <= limit
        served = self.reading["served"]
        assert [item.position for item in page.items] == [
            len(served) + i for i in range(len(page.items))
        ]
        served += [item.id for item in page.items]
        slate = self.run(self.service.ledger.slate(page.request_id))
        assert slate["items"] == [item.id for item in page.items]
        odds = [item.propensity for item in page.items]
        assert odds == (slate["propensities"] if self.reading["sampled"] else [None] * len(odds))
        assert all(each is None or 0 < each <= 1 for each in odds)
        self.reading["cursor"] = page.next_cursor
        if not page.has_more:
            assert page.next_cursor is None
            assert len(served) == len(set(served))
            # What was muted at the first page may come if it is so no more.
            assert set(served) <= self.reading["possible"]
            assert self.reading["expected"] - set(served) <= self.reading["excused"]
            self.reading = None

    @invariant()
    def nothing_comes_twice(self) -> None:
        if reading := getattr(self, "reading", None):
            served = reading["served"]
            assert len(served) == len(set(served))


@pytest.mark.slow
@pytest.mark.timeout(3_600 if SOAK else 300)
@pytest.mark.parametrize("frozen", [3, 1_000], ids=["mostly by time", "all by score"])
def test_whatever_happens_each_item_comes_once(database_url, frozen, monkeypatch):
    """With an order that freezes 3 items, most pages of scored feeds go on by time."""
    monkeypatch.setattr(pagination, "FROZEN", frozen)
    machine = type("Machine", (PagingMachine,), {"url": database_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100 if SOAK else 6,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
