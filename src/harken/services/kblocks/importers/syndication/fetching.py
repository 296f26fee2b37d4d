"""Fetching documents from the web, within limits, and from no address that is not public.

A host is resolved once, all its addresses are checked, and the connection is made to one of these:
so a name that changes its address in between leads nowhere else.
"""

import ssl
import time
import urllib.request
from collections.abc import Iterable, Iterator
from functools import cached_property
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpcore
import httpx

import harken
from harken.errors import InvalidInput, Problem
from harken.services.kblocks.importers.syndication.addresses import (
    NotPublic,
    Resolver,
    is_public,
    resolved,
    system_resolver,
)
from harken.services.kblocks.importers.syndication.compression import Broken, TooLarge, decompressed

MAX_BYTES = 16 * 1024 * 1024
TIMEOUT_SECONDS = 20.0
CONNECT_SECONDS = 10.0
MAX_REDIRECTS = 10
WEB = ("http", "https")

_ACCEPTED = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, "
    "text/xml;q=0.9, application/json;q=0.9, */*;q=0.5"
)
_WENT_WRONG = (
    httpx.HTTPError, httpx.InvalidURL, httpcore.NetworkError, httpcore.TimeoutException,
    httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol, OSError, ValueError,
    Broken,
)  # fmt: skip


class Document(NamedTuple):
    """What was read from a file or from the web.

    `url` is the address that answered in the end, and `charset` what its answer says of the text.
    """

    content: bytes
    url: str | None = None
    charset: str | None = None


def is_web(address: str) -> bool:
    """Tell whether an address is one of the web."""
    try:
        parts = urlsplit(address)
        return parts.scheme in WEB and bool(parts.hostname)
    except ValueError:
        return False


def without_secrets(url: str) -> str:
    """Return a URL without the user's name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class Fetcher:
    """Fetches documents; may be used by several threads.

    Addresses that are not public (loopback, private, link-local, reserved) are refused, unless
    `allow_private`, or the host is one that a person named.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        resolver: Resolver = system_resolver,
        timeout: float = TIMEOUT_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._allow_private = allow_private
        self._resolver = resolver
        self._timeout = timeout
        self._max_bytes = max_bytes

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """The certificates of the system, where it has any; reading them takes a while."""
        return ssl.create_default_context() if _has_roots() else httpx.create_ssl_context()

    def fetch(self, url: str, *, named: bool) -> Document:
        """Return the document at a URL, decompressed; raises InvalidInput.

        `named` says that a person gave this URL: then its host may be private. Redirections may
        lead to the same host, and to public ones.
        """
        deadline = _Deadline(self._timeout)
        try:
            own = {(urlsplit(url).hostname or "").lower()} if named else set()
            gate = _Gate(own, self._resolver, everything=self._allow_private)
            return self._followed(url, gate, deadline)
        except NotPublic as error:
            reason = f"cannot be fetched: {error}; --allow-private fetches it nevertheless"
        except TooLarge:
            reason = f"takes more than {self._max_bytes} bytes; at most these are read"
        except _WENT_WRONG as error:
            reason = f"cannot be fetched: {_reason(error, self._timeout)}"
        raise InvalidInput(Problem("", reason))

    def _followed(self, url: str, gate: "_Gate", deadline: "_Deadline") -> Document:
        for _ in range(MAX_REDIRECTS + 1):
            transport = self._transport(url, gate, deadline)
            with _client(transport, self._timeout) as client:
                request = client.build_request("GET", url)
                response = client.send(request, stream=True, follow_redirects=False)
                try:
                    if not response.has_redirect_location:
                        return self._document(response)
                finally:
                    response.close()
            url = _next(response)
        raise ValueError(f"it is redirected more than {MAX_REDIRECTS} times")

    def _document(self, response: httpx.Response) -> Document:
        if response.status_code != httpx.codes.OK:
            raise ValueError(f"{response.status_code} {response.reason_phrase}".strip())
        content = bytearray()
        for part in response.iter_raw():
            content += part
            if len(content) > self._max_bytes:
                raise TooLarge
        encoding = response.headers.get("content-encoding", "")
        plain = decompressed(bytes(content), encoding, self._max_bytes)
        return Document(plain, str(response.url), response.charset_encoding)

    def _transport(self, url: str, gate: "_Gate", deadline: "_Deadline") -> "_Transport":
        proxy = _proxy_for(url)
        if proxy is None:
            backend = _Backend(gate, deadline)
            return _Transport(httpcore.ConnectionPool(self._tls, network_backend=backend))
        # The proxy resolves names; what can be told without doing so is checked here.
        gate.check_literal((urlsplit(url).hostname or "").lower())
        everywhere = _Gate(set(), self._resolver, everything=True)
        return _Transport(
            httpcore.HTTPProxy(
                proxy, ssl_context=self._tls, network_backend=_Backend(everywhere, deadline)
            )
        )


def _has_roots() -> bool:
    paths = ssl.get_default_verify_paths()
    return paths.cafile is not None or paths.capath is not None


def _client(transport: httpx.BaseTransport, timeout: float) -> httpx.Client:
    return httpx.Client(
        transport=transport,
        trust_env=False,
        timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
        headers={
            "User-Agent": f"harken/{harken.__version__}",
            "Accept": _ACCEPTED,
            # Only what can be decompressed bit by bit, within limits.
            "Accept-Encoding": "gzip, deflate",
        },
    )


def _next(response: httpx.Response) -> str:
    following = response.next_request
    url = str(following.url) if following else ""
    if not is_web(url):
        raise ValueError("it is redirected to an address that is not http or https")
    return url


def _proxy_for(url: str) -> str | None:
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _reason(error: Exception, timeout: float) -> str:
    if isinstance(error, httpcore.TimeoutException | httpx.TimeoutException):
        return f"it takes longer than {timeout:g} seconds"
    inner = error.__cause__ or error.__context__ or error
    return getattr(error, "strerror", None) or getattr(inner, "strerror", None) or str(error)


class _Deadline:
    """When a document has to be there, with all its redirections."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self, wanted: float | None) -> float:
        """Return the seconds that are left, at most those wanted; raises ReadTimeout."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if wanted is None else min(left, wanted)


class _Gate:
    """Which hosts may be connected to, and where they are."""

    def __init__(self, named: set[str], resolver: Resolver, *, everything: bool) -> None:
        self._named = named
        self._resolver = resolver
        self._everything = everything

    def addresses(self, host: str, port: int, timeout: float) -> list[str]:
        """Return the addresses of a host; raises NotPublic where any of them may not be reached."""
        found = resolved(self._resolver, host, port, timeout)
        if not self._is_free(host):
            for address in found:
                if not is_public(address):
                    raise NotPublic(host, address)
        return found

    def check_literal(self, host: str) -> None:
        """Raise NotPublic for a host that is no public one by its name alone."""
        if self._is_free(host):
            return
        if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
            raise NotPublic(host, "this machine or its network")
        if _looks_numeric(host):
            self.addresses(host, 80, CONNECT_SECONDS)

    def _is_free(self, host: str) -> bool:
        return self._everything or host.lower() in self._named


def _looks_numeric(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        # 2130706433, 0x7f.1 and 017700000001 are addresses too, for the system.
        return host.rstrip(".").rpartition(".")[2][:1].isdigit()
    return True


class _Backend(httpcore.NetworkBackend):
    """Connects to checked addresses only, and gives up at the deadline."""

    def __init__(self, gate: _Gate, deadline: _Deadline) -> None:
        self._gate = gate
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
        addresses = self._gate.addresses(host, port, self._deadline.left(timeout))
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
    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
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


class _Transport(httpx.BaseTransport):
    """An httpcore pool, as httpx wants it: its own does not take a network backend."""

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
