"""`harken serve` and `harken migrate`."""

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from harken.config import Settings
from harken.errors import InvalidInput, Problem
from harken.protocols.cli.running import Json, console, messages, print_json
from harken.services.providers import (
    close_providers,
    get_key_ring,
    migrate_database,
    setup_providers,
)

if TYPE_CHECKING:
    from harken.protocols.http.connections import Watch

REQUESTS_PART = 0.6
"""The part of `shutdown_timeout` in which running requests are completed."""
MOST_PORTS = 65_535
WITHOUT_KEYS = "There is no API key, so the server accepts requests from this machine only."
ONLY_READERS = "There is no API key, so only readers whom the proxy names can use the server."
CLOSING_SECONDS = 1
"""Seconds to close the database after the server ended, also if it failed to start."""


def install(app: typer.Typer) -> None:
    """Add the commands `serve` and `migrate`."""
    app.command()(serve)
    app.command()(migrate)


def serve(
    host: Annotated[str | None, typer.Option(help="Overrides HARKEN_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Overrides HARKEN_PORT.")
    ] = None,
) -> None:
    """Serve REST and the pages. SQLite is migrated first; PostgreSQL must be migrated already."""
    given = {"host": host, "port": port}
    settings = Settings.load().model_copy(update={k: v for k, v in given.items() if v is not None})
    check_port(settings.host, settings.port)
    # Imported here, so that the other commands start faster.
    import uvicorn  # noqa: PLC0415

    from harken.protocols.api.app import create_app  # noqa: PLC0415
    from harken.protocols.http.security import check_exposure  # noqa: PLC0415
    from harken.protocols.http.sign_in import BehindProxies  # noqa: PLC0415
    from harken.protocols.telemetry.logs import log_configuration  # noqa: PLC0415

    app = create_app(settings)
    config = uvicorn.Config(
        BehindProxies(app, settings) if settings.forwarded_allow_ips else app,
        http=_connections(settings).protocol(),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=log_configuration(settings),
        proxy_headers=False,  # see BehindProxies
        root_path=settings.root_path,
        timeout_graceful_shutdown=max(1, round(REQUESTS_PART * settings.shutdown_timeout)),
        timeout_keep_alive=settings.keep_alive_timeout,
    )
    server = uvicorn.Server(config)

    async def run() -> None:
        try:
            # Here an error of the database is printed as a message; inside the server it would
            # be a traceback. The server uses these providers, because it runs in the same loop.
            await setup_providers()
            keys = await (await get_key_ring()).current()
            check_exposure(settings, has_keys=keys.has_any)
            if not settings.api_keys and not keys.has_any:
                messages.print(WITHOUT_KEYS if settings.identity_header is None else ONLY_READERS)
            await server.serve()
        finally:
            await close_providers(CLOSING_SECONDS)

    with (
        asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
        contextlib.suppress(KeyboardInterrupt),
    ):
        runner.run(run())
    if not server.started:
        raise typer.Exit(3)


def check_port(host: str, port: int) -> None:
    """Raise InvalidInput if another program serves on a port, before anything else is done."""
    if not is_free(host, port):
        raise InvalidInput(
            Problem(
                "port",
                f"{port} on {host} is in use; stop the program that uses it, or give another port: "
                f"--port {port + 1 if port < MOST_PORTS else 0}",
            )
        )


def is_free(host: str, port: int) -> bool:
    """Return whether a port can be served on. Raises InvalidInput for an unusable host."""
    try:
        socket.create_server((host, port), family=_family(host), reuse_port=False).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise InvalidInput(Problem("host", f"{host}: {error.strerror}")) from None
    return True


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _connections(settings: Settings) -> "Watch":
    from harken.protocols.http.connections import Limits, Watch, room_for  # noqa: PLC0415

    room = room_for(settings.max_connections)
    if room < settings.max_connections:
        messages.print(
            f"The limit of open files allows {room} connections, less than "
            f"HARKEN_MAX_CONNECTIONS={settings.max_connections}."
        )
    return Watch(Limits(room, settings.header_timeout, settings.body_timeout))


def migrate(as_json: Json = False) -> None:
    """Migrate the database to the newest schema."""
    before, after = asyncio.run(migrate_database())
    if as_json:
        print_json({"before": before, "after": after})
    elif before == after:
        console.print(f"The schema is already the newest: {after}.")
    else:
        console.print(f"The schema was {before or 'not set up'}, and is now {after}.")
