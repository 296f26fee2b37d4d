"""An address of loopback that leads to a port which may change, as one that follows a primary."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.postgres import free_port


class Address:
    """An address of loopback that leads to a port which may change."""

    def __init__(self, target: int = 0) -> None:
        self.port = free_port()
        self.target = target
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Lead connections to the target within the context."""
        async with await asyncio.start_server(self._lead, "127.0.0.1", self.port):
            yield
            self.cut()

    def cut(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.close()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, back}
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # somebody hung up, which is what is drilled here
        finally:
            writer.close()
            self._writers.discard(writer)
