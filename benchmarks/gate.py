"""What the gate costs a request that records an event, by the credentials it is sent with.

    python -m benchmarks.gate
    python -m benchmarks.gate --requests=20000 --rounds=9

The gate is called in this process, before an application that does nothing; what that application
alone takes is subtracted. Figures are microseconds of processor time, the median of the rounds,
with the least and the greatest.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy.ext.asyncio import async_sessionmaker
from tests.support.access import SITE, TOKEN_SECRET, as_key, as_page, as_reader, make_keys

from harken import migrations
from harken.config import Settings
from harken.database import create_engine
from harken.protocols.http.gate import Gate
from harken.services.access.key_ring import KeyRing
from harken.services.access.key_store import KeyStore

HEADERS = {
    "Host": "127.0.0.1:8000", "Content-Type": "application/json", "Content-Length": "92",
    "Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "python-httpx/0.28.1",
}  # fmt: skip


async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    """Answer nothing: what a request costs without a gate."""


def scope_of(headers: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "http", "method": "POST", "path": "/api/feed/feedback/record",
        "raw_path": b"/api/feed/feedback/record", "root_path": "", "query_string": b"",
        "scheme": "http", "client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", 8_000),
        "headers": [(name.lower().encode(), each.encode()) for name, each in headers.items()],
    }  # fmt: skip


async def seconds(gate: Any, headers: dict[str, str], requests: int) -> float:
    """Return the processor time of one request."""
    scopes = [scope_of(HEADERS | headers) for _ in range(requests)]
    began = time.process_time()
    for scope in scopes:
        await gate(scope, nothing, nothing)
    return (time.process_time() - began) / requests


async def measure(options: argparse.Namespace, folder: str) -> dict[str, list[float]]:
    url = f"sqlite+aiosqlite:///{Path(folder) / 'harken.db'}"
    engine = create_engine(Settings(database_url=url))
    await migrations.upgrade(engine)
    sessions = async_sessionmaker(engine)
    found: dict[str, list[float]] = {}
    for name, settings, headers, has_keys in _ways(await _open(sessions), url):
        ring = KeyRing(KeyStore(sessions if has_keys else await _empty(folder)))

        async def provide(ring: KeyRing = ring) -> KeyRing:
            return ring

        gate = Gate(nothing, settings, provide)
        await seconds(gate, headers, 200)
        found[name] = [
            await seconds(gate, headers, options.requests)
            - await seconds(nothing, headers, options.requests)
            for _ in range(options.rounds)
        ]
        await ring.close()
    await engine.dispose()
    return found


async def _open(sessions: Any) -> dict[str, str]:
    return await make_keys(sessions)


async def _empty(folder: str) -> Any:
    engine = create_engine(Settings(database_url=f"sqlite+aiosqlite:///{Path(folder) / 'no.db'}"))
    await migrations.upgrade(engine)
    return async_sessionmaker(engine)


def _ways(keys: dict[str, str], url: str) -> Iterator[tuple[str, Settings, dict[str, str], bool]]:
    """Yield ways to send a request: name, settings, headers, and whether there are stored keys."""
    plain = Settings(database_url=url)
    tokens = Settings(database_url=url, token_secret=TOKEN_SECRET)
    named = Settings(database_url=url, api_keys=["sesame"])
    yield "none; there are no keys", plain, {}, False
    yield "a key of HARKEN_API_KEYS", named, as_key("sesame"), False
    yield "a stored key", plain, as_key(keys["ingest"]), True
    yield "a user token (HS256)", tokens, as_reader("ada"), True
    yield "a publishable key", plain, as_page(keys["publishable"]), True
    yield "a publishable key and a user token", tokens, as_page(keys["publishable"], "ada"), True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(options, folder))
    for name, values in found.items():
        micros = [1e6 * each for each in values]
        sys.stdout.write(
            f"{name:36} {median(micros):6.1f} µs ({min(micros):.1f}–{max(micros):.1f})\n"
        )
    sys.stdout.write(f"origin of the pages: {SITE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
