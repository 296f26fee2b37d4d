"""Fetching of documents over HTTP, within limits, and only from public addresses.

A host is resolved once, all its addresses are checked, and the connection uses one of these. So a
name whose address changes between check and connection cannot lead elsewhere.
"""

import ssl
import urllib.request
from collections.abc import Iterable, Mapping
from functools import cached_property
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from harken.errors import InvalidInput, Problem
from harken.services.kblocks.importers.syndication.addresses import (
    NotPublic,
    Resolver,
    system_resolver,
)
from harken.services.kblocks.importers.syndication.compression import TooLarge, decompressed

if TYPE_CHECKING:
    import httpx

    from harken.services.kblocks.importers.syndication import transport

MAX_BYTES = 16 * 1024 * 1024
TIMEOUT_SECONDS = 20.0
MAX_REDIRECTS = 10
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


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
        import httpx  # noqa: PLC0415

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
        # Imported here, since most programs fetch nothing, and httpx takes long to import.
        from harken.services.kblocks.importers.syndication import transport  # noqa: PLC0415

        deadline = transport.Deadline(self._timeout)
        try:
            own = {(urlsplit(url).hostname or "").lower()} if named else set()
            policy = transport.HostPolicy(
                own | self._private_hosts, self._resolver, allow_all=self._allow_private
            )
            return self._followed(url, policy, deadline, headers)
        except NotPublic as error:
            reason = f"cannot be fetched: {error}; {self._remedy}"
        except TooLarge:
            reason = f"takes more than {self._max_bytes} bytes; at most these are read"
        except transport.WENT_WRONG as error:
            reason = f"cannot be fetched: {transport.reason_of(error, self._timeout)}"
        raise InvalidInput(Problem("", reason))

    def _followed(
        self,
        url: str,
        policy: "transport.HostPolicy",
        deadline: "transport.Deadline",
        headers: Mapping[str, str],
    ) -> Fetched:
        from harken.services.kblocks.importers.syndication import transport  # noqa: PLC0415

        for _ in range(MAX_REDIRECTS + 1):
            way = self._transport(url, policy, deadline)
            with transport.client_of(way, self._timeout) as client:
                request = client.build_request("GET", url, headers=headers)
                response = client.send(request, stream=True, follow_redirects=False)
                try:
                    if not response.has_redirect_location:
                        return self._answer(response)
                finally:
                    response.close()
            url = transport.next_address(response)
        raise ValueError(f"it is redirected more than {MAX_REDIRECTS} times")

    def _answer(self, response: "httpx.Response") -> Fetched:
        is_whole = response.status_code == HTTPStatus.OK
        names = ("etag", "last-modified", "retry-after")
        return Fetched(
            response.status_code,
            response.reason_phrase,
            self._document(response) if is_whole else None,
            *(response.headers.get(name) for name in names),
        )

    def _document(self, response: "httpx.Response") -> Document:
        content = bytearray()
        for part in response.iter_raw():
            content += part
            if len(content) > self._max_bytes:
                raise TooLarge
        encoding = response.headers.get("content-encoding", "")
        plain = decompressed(bytes(content), encoding, self._max_bytes)
        return Document(plain, str(response.url), response.charset_encoding)

    def _transport(
        self, url: str, policy: "transport.HostPolicy", deadline: "transport.Deadline"
    ) -> "transport.Transport":
        import httpcore  # noqa: PLC0415

        from harken.services.kblocks.importers.syndication.transport import (  # noqa: PLC0415
            Backend,
            HostPolicy,
            Transport,
        )

        proxy = _proxy_for(url)
        if proxy is None:
            backend = Backend(policy, deadline)
            return Transport(httpcore.ConnectionPool(self._tls, network_backend=backend))
        # The proxy resolves names, so only checks that need no resolution are made here.
        policy.check_literal((urlsplit(url).hostname or "").lower())
        everywhere = HostPolicy(set(), self._resolver, allow_all=True)
        return Transport(
            httpcore.HTTPProxy(
                proxy, ssl_context=self._tls, network_backend=Backend(everywhere, deadline)
            )
        )


def _has_roots() -> bool:
    paths = ssl.get_default_verify_paths()
    return paths.cafile is not None or paths.capath is not None


def _proxy_for(url: str) -> str | None:
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return urllib.request.getproxies().get(parts.scheme)
