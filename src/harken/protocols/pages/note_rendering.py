"""Rendering of K-Blocks as HTML with limits of time and memory, and a cache of the results.

simple content ─▶ a thread; other content ─▶ a child process with limits; content that exceeds
the limits ─▶ its source text

Content is simple if it is short and has few characters with a meaning in Markdown. The key of the
cache is a digest of the whole input, so no entry is ever invalid.
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

PROGRAM = (sys.executable, "-P", "-m", "harken.protocols.pages.render_process")
CHILD_SECONDS = 20.0
"""Time limit of a child process; its limit of CPU time is lower."""
QUEUE_SECONDS = 10.0
SIMPLE_CHARACTERS = 32_768
SIMPLE_MARKS = 2_000
KEPT_BYTES = 32 << 20
RETRY_SECONDS = 60.0
"""After this time, rendering is retried if the child was too slow, not its content."""


class NoteRenderer:
    """Renders K-Blocks and caches their HTML; belongs to one event loop."""

    def __init__(self, program: tuple[str, ...] = PROGRAM, kept_bytes: int = KEPT_BYTES) -> None:
        self._program = program
        self._most = kept_bytes
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._retry_at: dict[bytes, float] = {}
        self.size = 0
        """The size of the cache in bytes, at most `kept_bytes`."""
        # One child process at a time, so that rendering cannot slow down the feeds.
        self._lock = asyncio.Lock()
        self.placeholder_user = secrets.token_hex(16)
        """A random user id for links, which content cannot guess; callers replace it."""

    async def html(self, source: Source) -> str:
        """Return the content of a K-Block as safe HTML.

        Content that exceeds the limits, or waits more than `QUEUE_SECONDS`, is its source text.
        """
        given = json.dumps(source).encode()
        key = hashlib.sha256(given).digest()
        if (found := self._cached(key)) is not None:
            return found
        content = source["content"]
        if len(content) <= SIMPLE_CHARACTERS and is_simple(content, SIMPLE_MARKS):
            return self._keep(key, await asyncio.to_thread(render, source))
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            return as_plain(content)
        try:
            # Another request may have rendered the same content meanwhile.
            found = self._cached(key)
            return await self._render_in_child(key, given, content) if found is None else found
        finally:
            self._lock.release()

    async def _render_in_child(self, key: bytes, given: bytes, content: str) -> str:
        answer = await ask_child(self._program, given, CHILD_SECONDS)
        if not answer.problem:
            return self._keep(key, answer.output.decode())
        if not answer.has_ended:
            self._retry_at[key] = time.monotonic() + RETRY_SECONDS
        return self._keep(key, as_plain(content))

    def _cached(self, key: bytes) -> str | None:
        if time.monotonic() > self._retry_at.get(key, math.inf):
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
        self._retry_at.pop(key, None)
        self.size -= len(self._kept.pop(key, b""))
