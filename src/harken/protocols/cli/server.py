"""`harken serve` and `harken migrate`."""

import asyncio
import contextlib
import errno
import socket
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from harken.config import Settings
from harken.databases.sqlite_files import is_in_memory
from harken.errors import InvalidInput, InvalidSettings, Problem
from harken.garbage import collector_paused
from harken.protocols.cli.running import Json, console, messages, print_json

if TYPE_CHECKING:
    from harken.protocols.workers.serving import ServerConfig

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
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Overrides HARKEN_WORKERS.")
    ] = None,
) -> None:
    """Serve REST and the pages. SQLite is migrated first; PostgreSQL must be migrated already."""
    # Imported here, so that the other commands start faster.
    from harken.protocols.workers.serving import ServerConfig, settings_with  # noqa: PLC0415

    options = {"host": host, "port": port, "workers": workers}
    settings = settings_with(options)
    check_port(settings.host, settings.port)
    check_workers(settings)
    config = ServerConfig(options, messages.print)
    has_started = _serve_alone(config) if settings.workers == 1 else _serve_together(config)
    if not has_started:
        raise typer.Exit(3)


def _serve_alone(config: "ServerConfig") -> bool:
    import uvicorn  # noqa: PLC0415

    from harken.services.providers import close_providers  # noqa: PLC0415

    server = uvicorn.Server(config)

    async def run() -> None:
        try:
            # The server uses these providers, because it runs in the same loop.
            await _prepare(config)
            await server.serve()
        finally:
            await close_providers(CLOSING_SECONDS)

    with (
        asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
        contextlib.suppress(KeyboardInterrupt),
    ):
        runner.run(run())
    return server.started


async def _prepare(config: "ServerConfig") -> None:
    """Check the database, and import the application while the database sends the index."""
    from harken.services.providers import get_catalogue, setup_providers  # noqa: PLC0415

    with collector_paused():
        await _check(config.settings)
        index = asyncio.create_task((await get_catalogue()).fresh())
        try:
            await asyncio.to_thread(import_module, "harken.services.feed.service")
            await setup_providers()
            await asyncio.to_thread(config.load)
            # Of an error, the server itself tells when it starts and reads the index again.
            await asyncio.gather(index, return_exceptions=True)
        finally:
            index.cancel()


def _serve_together(config: "ServerConfig") -> bool:
    from harken.protocols.workers.supervising import supervise  # noqa: PLC0415
    from harken.services.access.user_tokens import UserTokens  # noqa: PLC0415
    from harken.services.providers import close_providers, setup_providers  # noqa: PLC0415

    async def check() -> None:
        try:
            # Said here, once and at once; each process would say it when it has imported all.
            UserTokens.of(config.settings)
            await _check(config.settings)
            await setup_providers()
        finally:
            await close_providers(CLOSING_SECONDS)

    asyncio.run(check())
    with contextlib.suppress(KeyboardInterrupt):
        return supervise(config)
    return True


async def _check(settings: Settings) -> None:
    """Raise what keeps a server from starting.

    Here an error of the database is printed as a message; inside the server it would be a
    traceback.
    """
    from harken.protocols.http.security import check_exposure  # noqa: PLC0415
    from harken.services.providers import get_key_ring  # noqa: PLC0415

    keys = await (await get_key_ring()).current()
    check_exposure(settings, has_keys=keys.has_any)
    if not settings.api_keys and not keys.has_any:
        messages.print(WITHOUT_KEYS if settings.identity_header is None else ONLY_READERS)


def check_workers(settings: Settings) -> None:
    """Raise InvalidSettings if several processes would have a database each."""
    if settings.workers > 1 and is_in_memory(settings.database_url):
        raise InvalidSettings(
            f"HARKEN_WORKERS={settings.workers}: each process would have a database of its own in "
            "memory; name a file or PostgreSQL in HARKEN_DATABASE_URL, or serve with one process"
        )


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


def migrate(as_json: Json = False) -> None:
    """Migrate the database to the newest schema."""
    from harken.services.providers import migrate_database  # noqa: PLC0415

    before, after = asyncio.run(migrate_database())
    if as_json:
        print_json({"before": before, "after": after})
    elif before == after:
        console.print(f"The schema is already the newest: {after}.")
    else:
        console.print(f"The schema was {before or 'not set up'}, and is now {after}.")
