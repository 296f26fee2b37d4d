"""How the log on PostgreSQL becomes a partitioned table, and one table again.

The new table has the names of before; what was the log gets names of its own. So statements of a
version that runs meanwhile mean the partitioned log from then on.
"""

from typing import Any

from sqlalchemy import Connection, MetaData, Table, insert, select, text

LOG, DEFAULT = "feed_interactions", "feed_interactions_default"
KEY = "pk_feed_interactions"

_INDEXES = text("""
    SELECT own.relname AS name, pg_get_indexdef(indexrelid) AS definition
    FROM pg_index JOIN pg_class AS own ON own.oid = indexrelid
    WHERE indrelid = to_regclass(:log) AND NOT indisprimary ORDER BY name
""")
_RIGHTS = text("""
    SELECT format('GRANT %s ON feed_interactions TO %s%s', privilege_type,
        CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass('feed_interactions_default')
""")
_OWNER = text("""
    SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class
    WHERE oid = to_regclass('feed_interactions_default')
""")
# A view that any user may read, unlike the table behind it.
_IS_ANALYZED = text("""
    SELECT EXISTS (
        SELECT 1 FROM pg_stats JOIN pg_namespace ON nspname = schemaname
            JOIN pg_class AS log ON log.relnamespace = pg_namespace.oid AND log.relname = tablename
        WHERE log.oid = to_regclass('feed_interactions') AND inherited
    )
""")


def partition(connection: Connection) -> None:
    """Make the log a partitioned table whose only partition, the default, is the table of before.

    Each index of the log has an index of the table as its part, so that none is built.
    """
    _do(
        connection,
        f"ALTER TABLE {LOG} RENAME TO {DEFAULT}",
        f"ALTER TABLE {DEFAULT} RENAME CONSTRAINT {KEY} TO {DEFAULT}_pk",
    )
    indexes = connection.execute(_INDEXES, {"log": DEFAULT}).all()
    for each in indexes:
        _do(connection, f"ALTER INDEX {each.name} RENAME TO {DEFAULT}_{each.name}")
    _do(
        connection,
        f"CREATE TABLE {LOG} (LIKE {DEFAULT} INCLUDING DEFAULTS) PARTITION BY RANGE (id)",
        f"ALTER TABLE {LOG} ADD CONSTRAINT {KEY} PRIMARY KEY (id)",
        *(_on_the_log(each.definition) for each in indexes),
        f"ALTER TABLE {LOG} ATTACH PARTITION {DEFAULT} DEFAULT",
        f"ALTER TABLE {LOG} OWNER TO {connection.execute(_OWNER).scalar_one()}",
        *connection.execute(_RIGHTS).scalars(),
    )


def join(connection: Connection) -> None:
    """Make the log one table again: rows of other partitions move to the default."""
    _do(connection, f"ALTER TABLE {LOG} DETACH PARTITION {DEFAULT}")
    log, table = (Table(name, MetaData(), autoload_with=connection) for name in (LOG, DEFAULT))
    connection.execute(insert(table).from_select([each.name for each in log.c], select(log)))
    _do(
        connection,
        f"DROP TABLE {LOG}",
        f"ALTER TABLE {DEFAULT} RENAME TO {LOG}",
        f"ALTER TABLE {LOG} RENAME CONSTRAINT {DEFAULT}_pk TO {KEY}",
    )
    for each in connection.execute(_INDEXES, {"log": LOG}).all():
        _do(connection, f"ALTER INDEX {each.name} RENAME TO {each.name.removeprefix(DEFAULT)[1:]}")


def lacks_statistics(connection: Connection) -> bool:
    """Tell whether PostgreSQL knows no distribution of values over all partitions of the log.

    Its autovacuum finds them for each partition alone.
    """
    return not connection.execute(_IS_ANALYZED).scalar_one()


def _on_the_log(definition: str) -> str:
    """Return the definition of an index of the default partition as one of the log."""
    named, _, rest = definition.partition(" ON ")
    return f"{named.replace(f'{DEFAULT}_', '')} ON {LOG} USING {rest.partition(' USING ')[2]}"


def _do(connection: Connection, *statements: Any) -> None:
    for each in statements:
        connection.execute(text(each))
