"""Asking a service for everything that it answers."""

import json
from urllib.parse import quote

from harken.domain.feeds import DEFAULT_FEEDS, RANKINGS
from tests.faults import SOAK
from tests.support.extremes import Extremes

READERS = ["guest", "ada", "\N{GRINNING FACE}", "שלום", "x" * 64]
OWN_FEEDS = {
    "early": ("lt", "1000-01-01T00:00:00Z"),
    "late": ("between", ["1000-01-01T23:59:00+23:59", "2999-12-31T23:59:59.999999Z"]),
    "lately": ("gt", "36500d"),
}
TIMES = ("1000-01-01T00:00:00Z", "1000-01-02T00:00:00Z", "2999-12-31T23:59:59.999999Z")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


class Asking:
    """Asks a service for everything, and notes what it does not answer."""

    def __init__(self, client, extremes: Extremes) -> None:
        self.client = client
        self.extremes = extremes
        self.asked = 0
        self.wrong: list[str] = []

    async def __call__(self, method: str, address: str, *, wanted: int | None = 200, **sent):
        answer = await self.client.request(method, address, **sent)
        self.asked += 1
        said = f"{method} {address} {sent}: {answer.status_code} {answer.text[:300]}"
        if answer.status_code >= 500 or (wanted is not None and answer.status_code != wanted):
            self.wrong.append(said)
        elif answer.content and "json" in answer.headers.get("content-type", ""):
            try:
                return json.loads(answer.text, parse_constant=_refuse)
            except ValueError as error:
                self.wrong.append(f"{said}: {error}")
        return None

    async def declare(self) -> None:
        """Store some feeds, which `everything` asks for."""
        for name, (operator, value) in OWN_FEEDS.items():
            condition = {"field": "created_at", "operator": operator, "value": value}
            declared = {"filters": [condition], "ranking": "trending"}
            await self("PUT", f"/api/feed/feeds/{name}", json=declared, wanted=None)

    async def everything(self, kblock_ids: list[str]) -> None:
        begin = self.extremes.random.getrandbits(1)
        for number, feed in enumerate((*DEFAULT_FEEDS, *OWN_FEEDS), begin):
            for place, ranking in enumerate(RANKINGS, number):
                # Each feed and each ranking is asked for both ways; all pairs of them, in a soak.
                for explain in ("true", "false") if SOAK else (("true", "false")[place % 2],):
                    await self._feed(feed, ranking, explain)
        for ranking in RANKINGS:
            body = {"kblock_ids": [*kblock_ids, "unknown"], "ranking": ranking, "explain": True}
            await self("POST", "/api/feed/rank", json=body | {"user_id": self._reader()})
        await self._extreme_orders(kblock_ids)
        await self._analytics()
        await self._pages()
        for kblock_id in self.extremes.random.sample(kblock_ids, min(3, len(kblock_ids))):
            await self._kblock(kblock_id)

    def _reader(self) -> str:
        return str(self.extremes.one(*READERS))

    async def _feed(self, feed: str, ranking: str, explain: str) -> None:
        address = f"/api/feed/{feed}" if feed in DEFAULT_FEEDS else f"/api/feed/feeds/{feed}"
        asked = {"ranking": ranking, "explain": explain, "user_id": self._reader()}
        asked["limit"] = self.extremes.one(1, 20, 20, 100)
        asked["offset"] = self.extremes.one(0, 0, 1, 2**31 - 1)
        page = await self("GET", address, params=asked)
        if page and page["next_cursor"] and self.extremes.one(True, False, False):
            await self("GET", address, params={"cursor": page["next_cursor"]})

    async def _extreme_orders(self, kblock_ids: list[str]) -> None:
        one = self.extremes.one
        for _ in range(4):
            weights = self.extremes.weights()
            text = ",".join(f"{name}:{weight!r}" for name, weight in weights.items())
            chance = {"temperature": one(0.001, 1.0, 1e6), "seed": one(0, 2**53 - 1)}
            asked = {"ranking": "weighted", "weights": text, "explain": "true"} | chance
            asked |= one({}, {"most_per_author": 1}, {"most_per_tag": 100}, {"max_loss": one(0, 1)})
            await self("GET", "/api/feed/cosmos", params=asked)
            body = {"kblock_ids": kblock_ids, "weights": weights, "user_id": self._reader()}
            await self("POST", "/api/feed/rank", json=body | chance | {"explain": True})
        for half_life in ("6h", "1d", "7d"):
            for asked in ({}, chance):
                trending = {"ranking": "trending", "half_life": half_life, "explain": "true"}
                await self("GET", "/api/feed/cosmos", params=trending | asked)

    async def _analytics(self) -> None:
        root = "/api/feed/analytics"
        await self("GET", root, params={"limit": 100, "min_interactions": 0})
        await self("GET", f"{root}/extent")
        first, second, last = TIMES
        for window in ({}, {"since": first, "until": second}, {"since": first, "until": last},
                       {"until": last}, {"since": last}, {"until": second}):  # fmt: skip
            backwards = window == {"since": last}
            await self("GET", f"{root}/dwell", params=window, wanted=422 if backwards else 200)
            for by in ("attention", "engagements", "views", "dismissals"):
                asked = window | {"by": by, "points": self.extremes.one(1, 30, 100)}
                await self("GET", f"{root}/kblocks", params=asked, wanted=None)
            for bucket in ("minute", "hour", "day"):
                await self(
                    "GET", f"{root}/timeseries", params=window | {"bucket": bucket}, wanted=None
                )

    async def _pages(self) -> None:
        for page in ("/", "/dashboard", "/docs", "/readyz", "/api/feed/feeds", "/api/feed/config"):
            await self("GET", page)
        for ranking in self.extremes.random.sample(list(RANKINGS), 3):
            asked = {"feed": self.extremes.one(*DEFAULT_FEEDS, *OWN_FEEDS), "ranking": ranking}
            await self("GET", "/", params=asked | {"user": self._reader()})
        await self("GET", "/reader/dismissed", params={"user": "ada"})
        await self("GET", "/reader/profile", params={"user": "ada"})
        for reader in READERS[1:]:
            named = quote(reader, safe="")
            for address in ("", "/preferences", "/profile"):
                await self("GET", f"/api/users/{named}{address}")
            await self("GET", "/api/feed/dismissals", params={"user_id": reader})

    async def _kblock(self, kblock_id: str) -> None:
        """Whether it is there or not."""
        named = quote(kblock_id, safe="")
        for address in (f"/api/kblocks/{named}", f"/api/kblocks/{named}/similar"):
            await self("GET", address, wanted=None)
        for page in ("/kblock", "/reader/content"):
            await self("GET", page, params={"id": kblock_id}, wanted=None)
