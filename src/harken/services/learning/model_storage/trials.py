"""Models that others may have written are read by a child process first.

text ─▶ `model_text` refuses what LightGBM could stumble over ─▶ a child reads it, with limits, and
asks it ─▶ this process reads it

A text that a child came through with is not tried again by the same process.
"""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harken.child_processes import ask_child
from harken.errors import InvalidModel
from harken.services.learning.model_storage import trial_child
from harken.services.learning.model_storage.archive import Archived, check, read_checked
from harken.services.learning.ranker import Model, lightgbm_or_refusal

PATIENCE_SECONDS = 30.0
REMEMBERED = 256
PROGRAM = (sys.executable, "-P", str(Path(trial_child.__file__)))


class Trials:
    """Reads models back, and remembers which were tried; belongs to one event loop."""

    def __init__(self, program: tuple[str, ...] = PROGRAM) -> None:
        self._program = program
        self._passed: dict[str, None] = {}

    async def restore(self, name: str, archived: Archived, details: Mapping[str, Any]) -> Model:
        """Read a model back, as `archive.restore` does, after a child could.

        Raises InvalidModel or MissingExtra.
        """
        text = await asyncio.to_thread(check, name, archived)
        # It takes a while to be imported, and no request should wait for that.
        await asyncio.to_thread(lightgbm_or_refusal)
        if archived.checksum not in self._passed:
            await self._try(name, text)
            self._passed[archived.checksum] = None
            if len(self._passed) > REMEMBERED:
                del self._passed[next(iter(self._passed))]
        return await asyncio.to_thread(read_checked, name, text, archived, details)

    async def _try(self, name: str, text: str) -> None:
        answer = await ask_child(self._program, text.encode(), PATIENCE_SECONDS)
        if answer.problem:
            raise InvalidModel(name, f"could not be read by a process of its own: {answer.problem}")
