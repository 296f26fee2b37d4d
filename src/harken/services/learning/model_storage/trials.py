"""Models that others may have written are read by a child process first.

text ─▶ `archive.check` rejects what could crash LightGBM ─▶ a child process with limits reads it
and scores some rows ─▶ this process reads it

A text that passed is not tried again by the same process.
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
from harken.services.learning.ranker import Model, require_lightgbm

PATIENCE_SECONDS = 60.0
REMEMBERED = 256
PROGRAM = (sys.executable, "-P", str(Path(trial_child.__file__)))


class Trials:
    """Restores models and remembers which ones passed; belongs to one event loop."""

    def __init__(self, program: tuple[str, ...] = PROGRAM) -> None:
        self._program = program
        self._passed: dict[str, None] = {}

    async def restore(self, name: str, archived: Archived, details: Mapping[str, Any]) -> Model:
        """Restore a model as `archive.restore` does, after a child process could read it.

        Raises InvalidModel, or MissingExtra without LightGBM.
        """
        text = await asyncio.to_thread(check, name, archived)
        # The import is slow, and must not block the event loop.
        await asyncio.to_thread(require_lightgbm)
        if archived.checksum not in self._passed:
            await self._try(name, text)
            self._passed[archived.checksum] = None
            if len(self._passed) > REMEMBERED:
                del self._passed[next(iter(self._passed))]
        return await asyncio.to_thread(read_checked, name, text, archived, details)

    async def _try(self, name: str, text: str) -> None:
        answer = await ask_child(self._program, text.encode(), PATIENCE_SECONDS)
        if answer.problem:
            what = f"could not be read by a separate process: {answer.problem}"
            raise InvalidModel(name, what, is_temporary=not answer.has_ended)
