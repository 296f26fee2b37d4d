"""IP addresses: which belong to the public internet, and resolution of hosts with a timeout."""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from threading import Thread

Resolver = Callable[[str, int], list[str]]
"""Returns the addresses of a host; raises OSError."""

Address = IPv4Address | IPv6Address

# Networks that are not public, but that `is_global` does not know in every version of Python.
_NOT_PUBLIC_4 = tuple(
    IPv4Network(each) for each in ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24")
)
_NOT_PUBLIC_6 = tuple(
    IPv6Network(each)
    for each in ("::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "5f00::/16", "fec0::/10")
)
_NAT64 = IPv6Network("64:ff9b::/96")


class NotPublic(OSError):
    """An address that is not public, and may not be fetched."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(
            f"{host} resolves to {address}, which is not a public address"
            if host != address
            else f"{address} is not a public address"
        )


def is_public(address: str) -> bool:
    """Tell whether a numeric address belongs to the public internet.

    For an IPv6 address that contains an IPv4 address (mapped, NAT64, 6to4), that one decides.

    >>> is_public("93.184.216.34"), is_public("127.0.0.1"), is_public("::ffff:10.0.0.1")
    (True, False, False)
    """
    parsed = _unwrapped(ip_address(address.partition("%")[0]))
    networks: tuple[IPv4Network | IPv6Network, ...] = _NOT_PUBLIC_4
    if isinstance(parsed, IPv6Address):
        networks = _NOT_PUBLIC_6
    return (
        parsed.is_global
        and not (parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified)
        and not any(parsed in network for network in networks)
    )


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def system_resolver(host: str, port: int) -> list[str]:
    """Resolve a host with the system's resolver, which also takes numbers such as `0x7f.1`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def resolved(resolver: Resolver, host: str, port: int, timeout: float) -> list[str]:
    """Return the addresses of a host; raises OSError, and TimeoutError after `timeout` seconds.

    The system's resolver has no timeout, so it runs in a thread that may continue afterwards.
    """
    answer: list[list[str] | OSError] = []

    def ask() -> None:
        try:
            answer.append(resolver(host, port))
        except OSError as error:
            answer.append(error)
        except UnicodeError:
            answer.append(OSError(f"{host} is not the name of a host"))

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    if not answer:
        raise TimeoutError(f"the name {host} could not be resolved in time")
    if isinstance(answer[0], OSError):
        raise answer[0]
    return answer[0]
