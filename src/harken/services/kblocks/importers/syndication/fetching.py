"""Fetching of documents over HTTP, within limits, and only from public addresses.

A host is resolved once, all its addresses are checked, and the connection uses one of these. So a
name whose address changes between check and connection cannot lead elsewhere.
"""

import ssl
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from ipaddress import ip_address
from types import MappingProxyType
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
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

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
    """A document from a file or from the web.

    `url` is the URL after all redirections, and `charset` is the one that the response declares.
    """

    content: bytes
    url: str | None = None
    charset: str | None = None


class Fetched(NamedTuple):
    """An answer; `document` is None unless the status is 200.

    `etag`, `last_modified` and `retry_after` are headers, as they were sent.
    """

    status: int
    reason: str = ""
    document: Document | None = None
    etag: str | None = None
    last_modified: str | None = None
    retry_after: str | None = None

    @property
    def said(self) -> str:
        """The status in words, such as `404 Not Found`."""
        return f"{self.status} {self.reason}".strip()


def is_web(address: str) -> bool:
    """Tell whether an address is a URL of http or https."""
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
    """Fetches documents. It can be used by several threads.

    Addresses that are not public (loopback, private, link-local, reserved) are refused, except
    with `allow_private`, for `private_hosts`, or for a host that the user named. `timeout` is in
    seconds. `remedy` says in an error how a private address can be fetched nevertheless.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        private_hosts: Iterable[str] = (),
        remedy: str = "--allow-private fetches it nevertheless",
        resolver: Resolver = system_resolver,
        timeout: float = TIMEOUT_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._allow_private = allow_private
        self._private_hosts = {host.lower() for host in private_hosts}
        self._remedy = remedy
        self._resolver = resolver
        self._timeout = timeout
        self._max_bytes = max_bytes

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """The certificates of the system, else those of httpx; loading them takes a while."""
        return ssl.create_default_context() if _has_roots() else httpx.create_ssl_context()

    def fetch(self, url: str, *, named: bool) -> Document:
        """Return the document at a URL, decompressed; raises InvalidInput.

        `named` means that the user gave this URL: then its host may be private. Redirections may
        lead to the same host and to public hosts.
        """
        fetched = self.get(url, named=named)
        if fetched.document is None:
            raise InvalidInput(Problem("", f"cannot be fetched: {fetched.said}"))
        return fetched.document

    def get(self, url: str, *, named: bool, headers: Mapping[str, str] = NO_HEADERS) -> Fetched:
        """Return the answer to a request with further headers, whatever its status.

        Raises InvalidInput if there is none; otherwise as `fetch`.
        """
        deadline = _Deadline(self._timeout)
        try:
            own = {(urlsplit(url).hostname or "").lower()} if named else set()
            policy = _HostPolicy(
                own | self._private_hosts, self._resolver, allow_all=self._allow_private
            )
            return self._followed(url, policy, deadline, headers)
        except NotPublic as error:
            reason = f"cannot be fetched: {error}; {self._remedy}"
        except TooLarge:
            reason = f"takes more than {self._max_bytes} bytes; at most these are read"
        except _WENT_WRONG as error:
            reason = f"cannot be fetched: {_reason(error, self._timeout)}"
        raise InvalidInput(Problem("", reason))

    def _followed(
        self, url: str, policy: "_HostPolicy", deadline: "_Deadline", headers: Mapping[str, str]
    ) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            transport = self._transport(url, policy, deadline)
            with _client(transport, self._timeout) as client:
                request = client.build_request("GET", url, headers=headers)
                response = client.send(request, stream=True, follow_redirects=False)
                try:
                    if not response.has_redirect_location:
                        return self._answer(response)
                finally:
                    response.close()
            url = _next(response)
        raise ValueError(f"it is redirected more than {MAX_REDIRECTS} times")

    def _answer(self, response: httpx.Response) -> Fetched:
        is_whole = response.status_code == httpx.codes.OK
        names = ("etag", "last-modified", "retry-after")
        return Fetched(
            response.status_code,
            response.reason_phrase,
            self._document(response) if is_whole else None,
            *(response.headers.get(name) for name in names),
        )

    def _document(self, response: httpx.Response) -> Document:
        content = bytearray()
        for part in response.iter_raw():
            content += part
            if len(content) > self._max_bytes:
                raise TooLarge
        encoding = response.headers.get("content-encoding", "")
        plain = decompressed(bytes(content), encoding, self._max_bytes)
        return Document(plain, str(response.url), response.charset_encoding)

    def _transport(self, url: str, policy: "_HostPolicy", deadline: "_Deadline") -> "_Transport":
        proxy = _proxy_for(url)
        if proxy is None:
            backend = _Backend(policy, deadline)
            return _Transport(httpcore.ConnectionPool(self._tls, network_backend=backend))
        # The proxy resolves names, so only checks that need no resolution are made here.
        policy.check_literal((urlsplit(url).hostname or "").lower())
        everywhere = _HostPolicy(set(), self._resolver, allow_all=True)
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
            # Only encodings that can be decompressed incrementally, within limits.
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
    """The deadline of a document, with all its redirections."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self, wanted: float | None) -> float:
        """Return the remaining seconds, at most `wanted`; raises ReadTimeout if there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if wanted is None else min(left, wanted)


class _HostPolicy:
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


class _Backend(httpcore.NetworkBackend):
    """Connects only to checked addresses, until the deadline."""

    def __init__(self, policy: _HostPolicy, deadline: _Deadline) -> None:
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
