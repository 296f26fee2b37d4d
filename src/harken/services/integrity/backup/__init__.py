"""Backups: a copy of a database that is being written to.

In: the URL of a database, and a file. Out: the copy, and what was checked of it; for PostgreSQL the
command that makes one. Front door: `sqlite_backup`, with `back_up`.

    sqlite_backup  copies an SQLite database, checks the copy, and puts it in its place
    pg_dump        the command that backs a PostgreSQL database up
"""
