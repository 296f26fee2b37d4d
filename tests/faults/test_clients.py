"""Both clients, in a program of their own, through a server that is restarted five times."""

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from harken.services.record.persistence import FeedFeedbackPersistence
from tests.support.chromium import program
from tests.support.server import HarkenServer

ROOT = Path(__file__).parents[2]
EVENTS = 1_000
RESTARTS = (100, 250, 400, 600, 800)
"""After so many events were given to the client, the server is restarted."""
SECONDS = 120

# Each program gives its client 1,000 events, half of them one by one, and says so of each.
THREADED = """
import sys
from concurrent.futures import ThreadPoolExecutor
from harken_client import Client

def send(number):
    give = client.record if number % 2 else client.enqueue
    give(user_id="ada", kblock_id=f"k{number}", action="view")
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()

with Client(sys.argv[1]) as client, ThreadPoolExecutor(4) as pool:
    list(pool.map(send, range(1_000)))
"""
ASYNC = """
import asyncio, sys
from harken_client import AsyncClient

async def main():
    async with AsyncClient(sys.argv[1]) as client:
        async def send(lane):
            for number in range(lane, 1_000, 4):
                event = {"user_id": "ada", "kblock_id": f"k{number}", "action": "view"}
                if lane % 2:
                    await client.record(**event)
                else:
                    client.enqueue(**event)
                    await asyncio.sleep(0.002)
                print(number, flush=True)
        await asyncio.gather(*map(send, range(4)))

asyncio.run(main())
"""
TYPESCRIPT = """
const { createClient } = await import(process.argv[3]);
const client = createClient({ userId: "ada", baseUrl: process.argv[2], retryMs: 100 });
async function send(lane) {
  for (let number = lane; number < 1_000; number += 4) {
    const recorded = client.record({ kblock_id: `k${number}`, action: "view" });
    if (lane % 2) await recorded;
    else await new Promise((resolve) => setTimeout(resolve, 2));
    console.log(number);
  }
}
await Promise.all([0, 1, 2, 3].map(send));
await client.flush();
await client.close();
"""


def command(client: str, url: str, folder: Path) -> list[str]:
    if client == "typescript":
        (folder / "send.mjs").write_text(TYPESCRIPT, "utf-8")
        served = ROOT / "src/harken/protocols/pages/static/harken-client.js"
        return [program("node"), str(folder / "send.mjs"), url, served.as_uri()]
    return [sys.executable, "-c", {"threaded": THREADED, "async": ASYNC}[client], url]


@pytest.mark.parametrize(
    ("client", "database_kind"),
    [("threaded", "sqlite"), ("async", "postgresql"), ("typescript", "sqlite")],
)
async def test_each_of_1000_events_is_recorded_once(
    client: str, database_url: str, persistence: FeedFeedbackPersistence, tmp_path: Path
) -> None:
    with HarkenServer(database_url) as server:
        process = await asyncio.create_subprocess_exec(
            *command(client, server.url, tmp_path),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT / "clients/python/src")},
        )
        try:
            async with asyncio.timeout(SECONDS):
                await restarting(server, process)
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    found = Counter([entry.kblock_id async for page in persistence.entries() for entry in page])
    assert found == Counter(f"k{number}" for number in range(EVENTS))
    assert (await persistence.verify()).differences == 0


async def restarting(server: HarkenServer, process: asyncio.subprocess.Process) -> None:
    """Restart the server while the program sends: killed, or asked to end, in turns."""
    assert process.stdout is not None
    given, restarts = 0, 0
    while await process.stdout.readline():
        given += 1
        if given in RESTARTS:
            end = server.terminate if restarts % 2 else server.kill
            await asyncio.to_thread(end)
            await asyncio.to_thread(server.start)
            restarts += 1
    assert (given, restarts) == (EVENTS, len(RESTARTS))
