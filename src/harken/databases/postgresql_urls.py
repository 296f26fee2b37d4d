"""URLs of PostgreSQL, as libpq, hosting services and SQLAlchemy write them.

SQLAlchemy hands each parameter of a URL to asyncpg as an argument of its own, and asyncpg refuses
most of libpq's. So Harken checks the parameters, and asyncpg reads them itself, from a URL.

The parameters are those of https://www.postgresql.org/docs/current/libpq-connect.html.
"""

from urllib.parse import quote, urlencode, urlsplit

from sqlalchemy import make_url
from sqlalchemy.engine import URL

TO_THE_DRIVER = frozenset({
    "application_name", "database", "dbname", "gsslib", "host", "krbsrvname", "options", "passfile",
    "password", "port", "service", "ssl_max_protocol_version", "ssl_min_protocol_version",
    "sslcert", "sslcrl", "sslkey", "sslmode", "sslnegotiation", "sslpassword", "sslrootcert",
    "target_session_attrs", "user",
})  # fmt: skip
PASSED_OVER = frozenset({
    "channel_binding", "client_encoding", "connect_timeout", "fallback_application_name",
    "gssencmode", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval",
    "sslcompression", "sslsni", "tcp_user_timeout",
})  # fmt: skip
"""What asyncpg does not know, or what Harken has settings of its own for."""
OF_SQLALCHEMY = frozenset({"prepared_statement_cache_size"})
SSL_MODES = frozenset({"allow", "disable", "prefer", "require", "verify-ca", "verify-full"})
_SECRET = frozenset({"password", "sslpassword"})


def with_hosts_aside(url: str) -> str:
    """Return a URL of several hosts with a parameter for them, as SQLAlchemy can read it.

    >>> with_hosts_aside("postgresql://u@a:5432,b:5433/d?sslmode=require")
    'postgresql://u@/d?host=a:5432,b:5433&sslmode=require'

    Raises ValueError if it is no URL.
    """
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return url
    query = "&".join(filter(None, [f"host={quote(hosts, safe=':,[]')}", parts.query]))
    return f"{parts.scheme}://{user}{at}{parts.path}?{query}"


def check_parameters(url: str) -> None:
    """Raise ValueError for a parameter that means nothing here, and for an unknown `sslmode`."""
    query = _parameters(make_url(url))
    unknown = sorted(query.keys() - TO_THE_DRIVER - PASSED_OVER - OF_SQLALCHEMY)
    if unknown:
        raise ValueError(
            f"has a parameter that libpq does not have, {unknown[0]!r}; a setting of the server is "
            "written as options=-c%20name%3Dvalue"
        )
    if query.get("sslmode", "prefer") not in SSL_MODES:
        raise ValueError(f"has an sslmode that is none of {', '.join(sorted(SSL_MODES))}")


def engine_url(url: str) -> URL:
    """Return the URL for SQLAlchemy, which connects by another; its host is for messages."""
    parsed = make_url(url)
    own = {k: v for k, v in parsed.query.items() if k in OF_SQLALCHEMY}
    return parsed.set(host=parsed.host or _parameters(parsed).get("host"), query=own)


def driver_url(url: str) -> str:
    """Return the URL that asyncpg connects to.

    >>> driver_url("postgresql+asyncpg://u:p@h/d?ssl=require&connect_timeout=10")
    'postgresql://u:p@h/d?sslmode=require'
    """
    parsed = make_url(url)
    query = {k: v for k, v in _parameters(parsed).items() if k in TO_THE_DRIVER}
    whole = parsed.set(drivername="postgresql", query=query)
    return whole.render_as_string(hide_password=False)


def libpq_url(url: str) -> str:
    """Return the URL for PostgreSQL's own programs, without secrets.

    >>> libpq_url("postgresql+asyncpg://u:p@/d?host=a:1,b:2&options=-c%20search_path%3Dx")
    'postgresql://u@a:1,b:2/d?options=-c%20search_path%3Dx'
    """
    parsed = make_url(url)
    known = (TO_THE_DRIVER | PASSED_OVER) - _SECRET
    query = {k: v for k, v in _parameters(parsed).items() if k in known}
    hosts = query.pop("host") if "," in query.get("host", "") else None
    plain = parsed.set(drivername="postgresql", query={})._replace(password=None)
    parts = urlsplit(plain.render_as_string())
    words = f"?{urlencode(query, quote_via=quote)}" if query else ""
    return f"{parts.scheme}://{parts.netloc}{hosts or ''}{parts.path}{words}"


def secrets_in(url: str) -> list[str]:
    """Return the passwords in the parameters of a URL."""
    return [value for name, value in _parameters(make_url(url)).items() if name in _SECRET]


def _parameters(parsed: URL) -> dict[str, str]:
    """Return the parameters under libpq's names; SQLAlchemy's form of several hosts repeats one."""
    given = {
        name: value if isinstance(value, str) else ",".join(value)
        for name, value in parsed.query.items()
    }
    if "ssl" in given:
        mode = given.pop("ssl")
        given.setdefault("sslmode", {"true": "require", "false": "disable"}.get(mode, mode))
    return given
