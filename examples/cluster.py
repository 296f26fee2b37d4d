"""Run all of Harken on one machine, to look at it: `make cluster`.

A broker (NATS), PostgreSQL with a synchronous standby, two services, and a consumer, on free ports
of 127.0.0.1. A part that ends is started again; if the primary ends, the standby takes over. All
data are in temporary folders, and go at the end.

It uses what starts servers for the tests, so it runs in a copy of the sources: see docs/scale.md.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
from tests.support.brokers import Broker
from tests.support.cluster import Cluster, cluster, restart
from tests.support.postgres import PostgresServer, free_port
from tests.support.server import HarkenServer

LOOK_SECONDS = 0.5
KBLOCKS = ("hello", "world")

Part = PostgresServer | Broker | HarkenServer


async def main() -> None:
    """Start all parts, and keep them running until SIGINT or SIGTERM."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    print("Starting; this takes some seconds.", flush=True)
    metrics = free_port()
    async with cluster(
        "--metrics-port", str(metrics), programs=True, HARKEN_METRICS="true"
    ) as started:
        await put_kblocks(started.services[0].url)
        parts = named(started)
        tell(started, parts, metrics)
        await keep(started, parts, stopping)
        print("Ending all.", flush=True)


def named(started: Cluster) -> dict[str, Part]:
    """Return all parts by their names."""
    one, other = started.services
    return {
        "primary": started.primary,
        "standby": started.standby,
        "broker": started.broker,
        "service 1": one,
        "service 2": other,
        "consumer": started.consumer,
    }


async def put_kblocks(url: str) -> None:
    """Put some K-Blocks, so that there is a page."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        for each in KBLOCKS:
            put = await client.put(f"/api/kblocks/{each}", json={"title": each.title()})
            put.raise_for_status()


def tell(started: Cluster, parts: Mapping[str, Part], metrics: int) -> None:
    """Print the addresses, and what to try."""
    one, other = started.services
    python = os.path.relpath(sys.executable)
    harken = Path(python).with_name("harken")
    addresses = {
        "primary": started.primary.url,
        "standby": started.standby.url,
        "broker": started.broker.url,
        "service 1": one.url,
        "service 2": other.url,
        "consumer": f"http://127.0.0.1:{metrics}/metrics",
    }
    for name, part in parts.items():
        print(f"{name:10} {addresses[name]}   (process {part.pid})")
    print(
        f"""
The database, whichever server is the primary: {started.database_url}

Try, in another shell:
  curl {one.url}/api/feed/feedback/record \\
    --json '{{"user_id": "ada", "kblock_id": "hello", "action": "engage"}}'
  {python} examples/publish.py {started.broker.url} ada world view
  curl '{other.url}/api/feed/cosmos?user_id=ada&ranking=popularity'   # sees both
  curl {other.url}/api/feed/analytics                    # read on the standby
  curl {other.url}/metrics
  HARKEN_DATABASE_URL={started.database_url} {harken} verify
  kill -9 {started.primary.pid}    # the standby takes over; any other part is started again

Ctrl-C ends all.
""",
        flush=True,
    )


async def keep(started: Cluster, parts: Mapping[str, Part], stopping: asyncio.Event) -> None:
    """Start each part again that ends; the standby takes over for the primary."""
    lost: set[str] = set()
    while not stopping.is_set():
        for name, part in parts.items():
            if part.is_running or name in lost:
                continue
            if isinstance(part, PostgresServer):
                lost.add(name)
                await replace(started, name)
            else:
                await restart(part)
                print(f"The {name} had ended, and runs again as process {part.pid}.", flush=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), LOOK_SECONDS)


async def replace(started: Cluster, name: str) -> None:
    """Let the other server of PostgreSQL go on alone."""
    if name == "primary":
        await started.fail_over()
        print("The primary has ended; the standby has taken over.", flush=True)
    elif started.primary.is_running:
        # Otherwise, each commit would wait for a standby.
        await asyncio.to_thread(started.primary.reload, synchronous_standby_names="")
        print("The standby has ended; the primary goes on alone.", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
