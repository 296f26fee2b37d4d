"""The HTML of K-Blocks, made within a budget and kept.

simple content ─▶ a thread; other content ─▶ a child process with limits; what takes more than
its budget ─▶ as it was written

Which it is, is known before: by the length, and by how much of it has a meaning to Markdown. What
comes of it is kept by a digest of all that it depends on, so that nothing has to be invalidated.
"""

import asyncio
import hashlib
import json
import math
import secrets
import sys
import time
from collections import OrderedDict

from harken.child_processes import ask_child
from harken.protocols.pages.content import Source, as_plain, render
from harken.services.kblocks.text import is_simple

PROGRAM = (sys.executable, "-P", "-m", "harken.protocols.pages.content_child")
PATIENCE_SECONDS = 20.0
"""For a child, which has less of the processor than that."""
PATIENCE_WITH_OTHERS_SECONDS = 10.0
SIMPLE_CHARACTERS = 32_768
SIMPLE_MARKS = 2_000
KEPT_BYTES = 32 << 20
RETRY_SECONDS = 60.0
"""After which it is tried again, where the machine was at its limit."""


class RenderedNotes:
    """Renders K-Blocks, and keeps what they come to; belongs to one event loop."""

    def __init__(self, program: tuple[str, ...] = PROGRAM, kept_bytes: int = KEPT_BYTES) -> None:
        self._program = program
        self._most = kept_bytes
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._until: dict[bytes, float] = {}
        self.size = 0
        """How many bytes are kept, no more than `kept_bytes`."""
        # One at a time: a feed that others read comes first.
        self._turn = asyncio.Lock()
        self.anyone = secrets.token_hex(16)
        """A reader whom no content can name; addresses for them are made for another later."""

    async def html(self, source: Source) -> str:
        """Return the HTML of a K-Block that may stand on our pages."""
        given = json.dumps(source).encode()
        key = hashlib.sha256(given).digest()
        if (found := self._found(key)) is not None:
            return found
        content = source["content"]
        if len(content) <= SIMPLE_CHARACTERS and is_simple(content, SIMPLE_MARKS):
            return self._keep(key, await asyncio.to_thread(render, source))
        try:
            async with asyncio.timeout(PATIENCE_WITH_OTHERS_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            return as_plain(content)
        try:
            # Another reader may have waited for the same.
            found = self._found(key)
            return await self._by_child(key, given, content) if found is None else found
        finally:
            self._turn.release()

    async def _by_child(self, key: bytes, given: bytes, content: str) -> str:
        answer = await ask_child(self._program, given, PATIENCE_SECONDS)
        if not answer.problem:
            return self._keep(key, answer.output.decode())
        if not answer.has_ended:
            self._until[key] = time.monotonic() + RETRY_SECONDS
        return self._keep(key, as_plain(content))

    def _found(self, key: bytes) -> str | None:
        if time.monotonic() > self._until.get(key, math.inf):
            self._drop(key)
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key].decode()

    def _keep(self, key: bytes, html: str) -> str:
        encoded = html.encode()
        if key not in self._kept and len(encoded) <= self._most:
            self._kept[key] = encoded
            self.size += len(encoded)
            while self.size > self._most:
                self._drop(next(iter(self._kept)))
        return html

    def _drop(self, key: bytes) -> None:
        self._until.pop(key, None)
        self.size -= len(self._kept.pop(key, b""))
