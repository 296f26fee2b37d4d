"""The command that backs a PostgreSQL database up; its own tools do that best."""

import shlex
from pathlib import Path

from harken.databases.postgresql_urls import libpq_url


def pg_dump_command(database_url: str, schema: str | None, file: Path) -> str:
    """Return the command, without the password: libpq asks for it, or reads `~/.pgpass`.

    >>> url = "postgresql+asyncpg://shop:secret@db:5433/feed"
    >>> pg_dump_command(url, None, Path("feed.dump"))
    'pg_dump --format=custom --file=feed.dump --dbname=postgresql://shop@db:5433/feed'
    """
    words = ["pg_dump", "--format=custom", f"--file={file}"]
    if schema is not None:
        words.append(f"--schema={schema}")
    return shlex.join([*words, f"--dbname={libpq_url(database_url)}"])
