"""Write the async client from the sync one, so that both have the same names.

python clients/python/scripts/async_client.py > clients/python/src/harken_client/async_client.py
"""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src/harken_client/client.py"
CHANGES = (
    (r"The client for programs with threads\.", "The client for event loops."),
    (r"^", "# Made by clients/python/scripts/async_client.py from client.py.\n"),
    (r"class Client\(Sender\)", "class AsyncClient(AsyncSender)"),
    (r"harken_client\.thread_sender import Sender", "harken_client.task_sender import AsyncSender"),
    (r"; its methods may be called from any thread\.", "; it belongs to one event loop."),
    (r"\bIterator\b", "AsyncIterator"),
    (r"    def (?=\w+\()", "    async def "),
    (r"= self\._send", "= await self._send"),
    (r"return self\._send", "return await self._send"),
    (r"^        self\._send", "        await self._send"),
    (r"^( +)yield from (.+)$", r"\1for each in \2:\n\1    yield each"),
    (r"for page in self\.pages", "async for page in self.pages"),
)


def source() -> str:
    """Return the source of the async client."""
    text = SOURCE.read_text("utf-8")
    for pattern, replacement in CHANGES:
        count = 1 if pattern == r"^" else 0
        text = re.sub(pattern, replacement, text, count=count, flags=re.MULTILINE)
    return text


if __name__ == "__main__":
    sys.stdout.write(source())
