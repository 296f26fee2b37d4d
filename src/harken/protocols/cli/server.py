"""`harken serve` and `harken migrate`."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harken.config import Settings
from harken.protocols.cli.running import console, messages
from harken.services.providers import close_providers, migrate_database, setup_providers

if TYPE_CHECKING:
    from harken.protocols.http.connections import Watch

REQUESTS_PART = 0.6
"""Of the time that a server has to end, how much requests have that are being answered."""
CLOSING_SECONDS = 1
"""For what is still open when the server has ended, as where it did not even start."""


def install(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(serve)
    app.command()(migrate)


def serve(
    host: Annotated[str | None, typer.Option(help="Overrides HARKEN_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Overrides HARKEN_PORT.")
    ] = None,
) -> None:
    """Serve REST. SQLite is migrated first; PostgreSQL has to be at the newest schema."""
    # Imported here, since the other verbs would wait for it too.
    import uvicorn  # noqa: PLC0415

    from harken.protocols.api.app import create_app  # noqa: PLC0415
    from harken.protocols.http.security import check_exposure  # noqa: PLC0415

    given = {"host": host, "port": port}
    settings = Settings.load().model_copy(update={k: v for k, v in given.items() if v is not None})
    check_exposure(settings)
    if not settings.api_keys:
        messages.print("No HARKEN_API_KEYS are set: only this machine can reach the server.")
    config = uvicorn.Config(
        create_app(settings),
        http=_connections(settings).protocol(),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=_logging(),
        proxy_headers=False,  # nobody asks where a request comes from
        timeout_graceful_shutdown=max(1, round(REQUESTS_PART * settings.shutdown_timeout)),
        timeout_keep_alive=settings.keep_alive_timeout,
    )
    server = uvicorn.Server(config)

    async def run() -> None:
        try:
            # What is wrong with the database is a message here; inside the server it would be a
            # traceback. What is made here is what the server uses: it runs in the same loop.
            await setup_providers()
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


def _connections(settings: Settings) -> "Watch":
    from harken.protocols.http.connections import Limits, Watch, room_for  # noqa: PLC0415

    room = room_for(settings.max_connections)
    if room < settings.max_connections:
        messages.print(
            f"The system lets this process open files for {room} connections, less than "
            f"HARKEN_MAX_CONNECTIONS={settings.max_connections}."
        )
    return Watch(Limits(room, settings.header_timeout, settings.body_timeout))


def _logging() -> dict[str, Any]:
    """Have what Harken says logged as what the server says."""
    from uvicorn.config import LOGGING_CONFIG  # noqa: PLC0415

    own = {"handlers": ["default"], "level": "INFO", "propagate": False}
    # Whose pool says of every connection that it is thrown away; there is a line for all of them.
    loggers = {"harken": own, "harken.connecting": {"level": "WARNING"}}
    return LOGGING_CONFIG | {"loggers": LOGGING_CONFIG["loggers"] | loggers}


def migrate() -> None:
    """Bring the database to the newest schema."""
    before, after = asyncio.run(migrate_database())
    if before == after:
        console.print(f"The schema is {after} already, the newest.")
    else:
        console.print(f"The schema was {before or 'not set up'} and is {after} now.")
