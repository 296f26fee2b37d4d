"""What each process of a server runs: Harken's application, and uvicorn's configuration of it.

`application` is a factory for servers of others, such as `uvicorn --factory` and gunicorn.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from harken.config import Settings
from harken.errors import HarkenError
from harken.garbage import collector_paused
from harken.protocols.telemetry.logs import log_configuration

log = logging.getLogger(__name__)

REQUESTS_PART = 0.6
"""The part of `shutdown_timeout` in which running requests are completed."""

Say = Callable[[str], object]


def application(settings: Settings | None = None) -> ASGIApp:
    """Return the application of `harken serve`, with the settings of the environment.

    Raises InvalidSettings, or MissingExtra for HARKEN_TOKEN_JWKS.
    """
    # Imported here: a supervisor needs none of it, and its processes answer it while they import.
    from harken.protocols.front.serving import Serving  # noqa: PLC0415
    from harken.protocols.http.sign_in import BehindProxies  # noqa: PLC0415

    settings = settings or Settings.load()
    app = Serving(settings)
    return BehindProxies(app, settings) if settings.forwarded_allow_ips else app


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration. The application is made when the server loads it.

    It can be sent to another process, which reads the settings from its environment again;
    `options` are those of the command, which override them.
    """

    def __init__(self, options: Mapping[str, Any], say: Say = log.warning) -> None:
        self.settings = settings_with(options)
        self._options = dict(options)
        self._say = say
        super().__init__(
            "harken",  # see `load`
            host=self.settings.host,
            port=self.settings.port,
            workers=self.settings.workers,
            access_log=False,
            log_config=log_configuration(self.settings),
            proxy_headers=False,  # see BehindProxies
            root_path=self.settings.root_path,
            timeout_graceful_shutdown=max(1, round(REQUESTS_PART * self.settings.shutdown_timeout)),
            timeout_keep_alive=self.settings.keep_alive_timeout,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how another process makes this configuration."""
        return WorkerConfig, (self._options,)

    def load(self) -> None:
        """Make the application and the class of its connections."""
        from harken.protocols.http.connections import Limits, Watch, room_for  # noqa: PLC0415

        settings = self.settings
        with collector_paused():
            self.app = application(settings)
        room = room_for(settings.max_connections)
        if room < settings.max_connections:
            self._say(
                f"The limit of open files allows {room} connections, less than "
                f"HARKEN_MAX_CONNECTIONS={settings.max_connections}."
            )
        limits = Limits(room, settings.header_timeout, settings.body_timeout)
        self.http = Watch(limits).protocol()
        super().load()


class WorkerConfig(ServerConfig):
    """The configuration in a process under a supervisor, which ends if it cannot be used."""

    def load(self) -> None:
        """Make the application, or say in the log why that fails, and end."""
        try:
            super().load()
        except HarkenError as error:
            log.error("%s", error)  # noqa: TRY400 — a message for people
            sys.exit(STARTUP_FAILURE)


def settings_with(options: Mapping[str, Any]) -> Settings:
    """Return the settings of the environment, overridden by options that are given."""
    given = {name: value for name, value in options.items() if value is not None}
    settings: Settings = Settings.load().model_copy(update=given)
    return settings
