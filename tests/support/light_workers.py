"""`harken serve --workers` with an application that starts at once, for tests of the supervisor.

Processes that start while the file that LIGHT_FAILS names is there end with an error.
"""

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any

import uvicorn
from starlette.responses import PlainTextResponse
from uvicorn.config import STARTUP_FAILURE

from harken.protocols.workers.serving import ServerConfig
from harken.protocols.workers.supervising import supervise

FAILS = "LIGHT_FAILS"
log = logging.getLogger("harken")


class LightConfig(ServerConfig):
    """The configuration of a server that answers everything with `ok`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return LightConfig, (self._options,)

    def load(self) -> None:
        """Take the application, or fail."""
        if Path(os.environ.get(FAILS) or "/no/such/file").exists():
            log.error("This process cannot start.")
            sys.exit(STARTUP_FAILURE)
        self.app = PlainTextResponse("ok")
        uvicorn.Config.load(self)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--port", type=int)
    parser.add_argument("--workers", type=int)
    options = {**vars(parser.parse_args()), "host": "127.0.0.1"}
    del options["command"]
    return 0 if supervise(LightConfig(options)) else 3


if __name__ == "__main__":
    sys.exit(main())
