"""Connections to checked addresses, until a deadline, for `fetching`: httpx and httpcore."""

import ssl
import time
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

import httpcore
import httpx

import harken
from harken.services.kblocks.importers.syndication.addresses import (
    NotPublic,
    Resolver,
    is_public,
    resolved,
)
from harken.services.kblocks.importers.syndication.compression import Broken
from harken.services.kblocks.web_addresses import is_web

CONNECT_SECONDS = 10.0

_ACCEPTED = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, "
    "text/xml;q=0.9, application/json;q=0.9, */*;q=0.5"
)
WENT_WRONG = (
    httpx.HTTPError, httpx.InvalidURL, httpcore.NetworkError, httpcore.TimeoutException,
    httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol, OSError, ValueError,
    Broken,
)  # fmt: skip


def client_of(transport: httpx.BaseTransport, timeout: float) -> httpx.Client:
    """Return a client that sends Harken's headers, and follows no redirection by itself."""
    return httpx.Client(
        transport=transport,
        trust_env=False,
        timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
        headers={
            "User-Agent": f"harken/{harken.__version__}",
            "Accept": _ACCEPTED,
            # Only encodings that can be decompressed incrementally, within limits.
            "Accept-Encoding": "gzip, deflate",
        },
    )


def next_address(response: httpx.Response) -> str:
    """Return where a response redirects to. Raises ValueError unless it is on the web."""
    following = response.next_request
    url = str(following.url) if following else ""
    if not is_web(url):
        raise ValueError("it is redirected to an address that is not http or https")
    return url


def reason_of(error: Exception, timeout: float) -> str:
    """Return in words why there is no answer."""
    if isinstance(error, httpcore.TimeoutException | httpx.TimeoutException):
        return f"it takes longer than {timeout:g} seconds"
    inner = error.__cause__ or error.__context__ or error
    return getattr(error, "strerror", None) or getattr(inner, "strerror", None) or str(error)


class Deadline:
    """The deadline of a document, with all its redirections."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self, wanted: float | None) -> float:
        """Return the remaining seconds, at most `wanted`; raises ReadTimeout if there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if wanted is None else min(left, wanted)


class HostPolicy:
    """Decides which hosts may be connected to, and resolves them."""

    def __init__(self, named: set[str], resolver: Resolver, *, allow_all: bool) -> None:
        self._named = named
        self._resolver = resolver
        self._allows_all = allow_all

    def addresses(self, host: str, port: int, timeout: float) -> list[str]:
        """Return the addresses of a host; raises NotPublic if any of them is forbidden."""
        found = resolved(self._resolver, host, port, timeout)
        if not self._is_free(host):
            for address in found:
                if not is_public(address):
                    raise NotPublic(host, address)
        return found

    def check_literal(self, host: str) -> None:
        """Raise NotPublic for a host whose name or numeric address is not public."""
        if self._is_free(host):
            return
        if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
            raise NotPublic(host, host)
        if _looks_numeric(host):
            self.addresses(host, 80, CONNECT_SECONDS)

    def _is_free(self, host: str) -> bool:
        return self._allows_all or host.lower() in self._named


def _looks_numeric(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        # The system's resolver also takes 2130706433, 0x7f.1 and 017700000001 as addresses.
        return host.rstrip(".").rpartition(".")[2][:1].isdigit()
    return True


class Backend(httpcore.NetworkBackend):
    """Connects only to checked addresses, until the deadline."""

    def __init__(self, policy: HostPolicy, deadline: Deadline) -> None:
        self._policy = policy
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers."""
        addresses = self._policy.addresses(host, port, self._deadline.left(timeout))
        last: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                stream = self._sockets.connect_tcp(
                    address, port, self._deadline.left(timeout), local_address, socket_options
                )
                return _Stream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class Transport(httpx.BaseTransport):
    """Adapts an httpcore pool to httpx, whose own transport takes no network backend."""

    def __init__(self, pool: httpcore.ConnectionPool) -> None:
        self._pool = pool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=url,
                headers=request.headers.raw,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()
