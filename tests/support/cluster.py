"""All of it on one machine: a broker, a database with a standby, services, and a consumer.

publisher ──▶ broker ──▶ consumer ──┐
                                    ├──▶ address ──▶ primary ──▶ synchronous standby
client ─────────────────▶ services ─┘                                    ▲
                              └────────── long reads ────────────────────┘
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from harken.config import Settings
from harken.models.base import init_db
from tests.support.address import Address
from tests.support.brokers import Broker, NatsServer
from tests.support.consumer import Consumer, ConsumerProgram
from tests.support.postgres import PostgresServer
from tests.support.server import HarkenProgram, HarkenServer

SERVICES = 2


@dataclass
class Cluster:
    """The parts, all of which run; `database_url` leads to whichever server is the primary."""

    broker: Broker
    primary: PostgresServer
    standby: PostgresServer
    address: Address
    services: list[HarkenServer]
    consumer: Consumer
    database_url: str

    async def fail_over(self) -> None:
        """Kill the primary if it is there, promote the standby, and let the address lead to it."""
        if self.primary.is_running:
            await asyncio.to_thread(self.primary.kill)
        await asyncio.to_thread(self.standby.promote)
        self.address.target = self.standby.port
        self.address.cut()


async def restart(part: Broker | HarkenServer) -> None:
    """Kill a part, unless it has ended by itself, and start it again."""
    await asyncio.to_thread(part.kill)
    await asyncio.to_thread(part.start)


@asynccontextmanager
async def cluster(
    *options: str, programs: bool = False, **environment: str
) -> AsyncIterator[Cluster]:
    """Start all parts, and end them with the context, each by its process id.

    `options` are those of `harken consume`, `environment` is that of all processes of Harken. With
    `programs`, these are new programs, and no forks.
    """
    async with AsyncExitStack() as started:

        async def start(part: PostgresServer | Broker | HarkenServer) -> None:
            await asyncio.to_thread(part.__enter__)
            started.push_async_callback(asyncio.to_thread, part.__exit__, None, None, None)

        primary, broker = PostgresServer(), NatsServer()
        await start(primary)
        await init_db(Settings(database_url=primary.url))
        standby = await asyncio.to_thread(primary.standby)
        started.push_async_callback(asyncio.to_thread, standby.remove)
        await asyncio.to_thread(standby.start_first)
        # Not before the copy was made: it would be a setting of the standby, too.
        await asyncio.to_thread(primary.reload, synchronous_standby_names="*")
        address = Address(primary.port)
        await started.enter_async_context(address.open())
        url = primary.url.replace(f":{primary.port}/", f":{address.port}/")
        await start(broker)
        environment = {"HARKEN_READ_URLS": standby.url, **environment}
        serve, consume = (HarkenProgram, ConsumerProgram) if programs else (HarkenServer, Consumer)
        services = [serve(url, **environment) for _ in range(SERVICES)]
        consumer = consume(url, broker.url, *options, **environment)
        for part in (*services, consumer):
            await start(part)
        yield Cluster(broker, primary, standby, address, services, consumer, url)
