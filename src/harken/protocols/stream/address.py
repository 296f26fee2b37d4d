"""The address of a broker: `nats://` and `tls://` of NATS, `kafka://` and `kafkas://` of Kafka."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from harken.errors import InvalidInput, Problem

NATS_PORT = 4222
KAFKA_PORT = 9092
FORMS = (
    "must be such as nats://host:4222, tls://host:4222, kafka://one:9092,two:9092 "
    "or kafkas://user:password@host:9093"
)


class Kind(StrEnum):
    """Which broker it is."""

    NATS = "NATS"
    KAFKA = "Kafka"


class Sasl(StrEnum):
    """How a user name and a password are proved to Kafka."""

    PLAIN = "PLAIN"
    SCRAM_256 = "SCRAM-SHA-256"
    SCRAM_512 = "SCRAM-SHA-512"


_SCHEMES = {
    "nats": (Kind.NATS, False),
    "tls": (Kind.NATS, True),
    "kafka": (Kind.KAFKA, False),
    "kafkas": (Kind.KAFKA, True),
}


@dataclass(frozen=True)
class StreamAddress:
    """A broker, its servers as `host:port`, and who signs in there.

    user, password: None where none is given; a user without a password is a token of NATS.
    sasl: how they are proved to Kafka.
    """

    kind: Kind
    servers: tuple[str, ...]
    is_encrypted: bool = False
    user: str | None = None
    password: str | None = None
    sasl: Sasl = Sasl.PLAIN

    def __str__(self) -> str:
        """Return the kind and the servers; no secret."""
        return f"{self.kind} at {', '.join(self.servers)}"

    def __repr__(self) -> str:
        return f"<{self}>"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the broker of a URL, whose hosts may be several, with commas between them.

        Raises InvalidInput, whose message quotes nothing of the URL: it may hold a password.
        """
        try:
            url = urlsplit(text.strip())
            kind, is_encrypted = _SCHEMES[url.scheme.lower()]
        except (KeyError, ValueError):
            raise InvalidInput(Problem("url", FORMS)) from None
        user, _, hosts = url.netloc.rpartition("@")
        name, _, password = user.partition(":")
        port = NATS_PORT if kind is Kind.NATS else KAFKA_PORT
        return cls(
            kind,
            tuple(_server(host, port) for host in hosts.split(",")),
            is_encrypted,
            unquote(name) or None,
            unquote(password) or None,
            _sasl(url, kind),
        )


def _server(text: str, port: int) -> str:
    try:
        url = urlsplit(f"//{text}")
        found = url.port
    except ValueError:
        raise InvalidInput(Problem("url", FORMS)) from None
    if not url.hostname or url.path or text.strip() != text:
        raise InvalidInput(Problem("url", FORMS))
    return f"{text.rpartition(':')[0] if found is not None else text.rstrip(':')}:{found or port}"


def _sasl(url: SplitResult, kind: Kind) -> Sasl:
    options = parse_qs(url.query, keep_blank_values=True)
    if url.path.strip("/") or set(options) - ({"sasl"} if kind is Kind.KAFKA else set()):
        raise InvalidInput(Problem("url", "has no path, and of options only ?sasl=, for Kafka"))
    named = options.get("sasl", [Sasl.PLAIN])[-1].upper()
    if named not in set(Sasl):
        raise InvalidInput(Problem("url", f"sasl must be one of {', '.join(Sasl)}"))
    return Sasl(named)
