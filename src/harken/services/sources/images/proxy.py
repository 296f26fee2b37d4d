"""The image proxy: fetches images of other hosts, within limits, and keeps the latest in memory.

kept? ─▶ fetched by somebody else? ─▶ failed lately? ─▶ a slot of its host ─▶ fetched, checked, kept
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from harken.errors import InvalidInput, Unavailable, Unreachable
from harken.services.kblocks.importers.syndication.fetching import Fetcher
from harken.services.kblocks.web_addresses import is_web
from harken.services.sources.images.formats import ImageFormat, format_of

MAX_BYTES = 8 * 1024 * 1024
TIMEOUT_SECONDS = 8.0
"""Time limit of one image, with all redirections."""
WAIT_SECONDS = 10.0
"""The longest wait of one request: for its turn, and for the image."""
AT_ONCE = 6
AT_ONCE_OF_HOST = 2
MOST_WAITING = 200
KEPT_BYTES = 32 * 1024 * 1024
RETRY_SECONDS = 60.0
"""After this time, an image that failed may be fetched again."""
SLOW_SECONDS = 5.0
"""A host that fails after so long is not asked for other images either, until a retry is due."""
MOST_FAILURES = 1_000
ACCEPT = {"Accept": "image/avif, image/webp, image/png, image/jpeg, image/gif"}


class Image(NamedTuple):
    """An image; `digest` identifies its bytes."""

    content: bytes
    format: ImageFormat
    digest: str


class _Failure(NamedTuple):
    reason: str
    is_of_host: bool = False


class ImageProxy:
    """Fetches images; belongs to one event loop."""

    def __init__(
        self,
        fetcher: Fetcher,
        *,
        kept_bytes: int = KEPT_BYTES,
        wait: float = WAIT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Fetch by a fetcher, which decides what hosts may be asked, and how large a file may be.

        `kept_bytes` is how much is kept in memory; `wait` and `clock` are in seconds.
        """
        self._fetcher = fetcher
        self._most = kept_bytes
        self._wait = wait
        self._clock = clock
        self._kept: OrderedDict[str, Image] = OrderedDict()
        self._size = 0
        self._failed: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._asked: dict[str, asyncio.Task[Image | _Failure]] = {}
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        # Threads of its own: slow hosts keep no other work of the process waiting.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="images")

    async def get(self, url: str) -> Image:
        """Return the image at an address.

        Raises Unreachable if there is none that can be shown, or Unavailable if too many are being
        fetched, or if it takes too long; the next request may find it.
        """
        if (kept := self._kept.get(url)) is not None:
            self._kept.move_to_end(url)
            return kept
        task = self._asked.get(url)
        if task is None:
            task = self._begun(url)
        try:
            async with asyncio.timeout(self._wait):
                found = await asyncio.shield(task)
        except TimeoutError:
            raise Unavailable("the image takes too long; try again later") from None
        if isinstance(found, _Failure):
            raise Unreachable(found.reason)
        return found

    def _begun(self, url: str) -> "asyncio.Task[Image | _Failure]":
        for name in (url, _host(url)):
            until, reason = self._failed.get(name, (0.0, ""))
            if self._clock() < until:
                raise Unreachable(reason)
        if len(self._asked) >= MOST_WAITING:
            raise Unavailable("too many images are being fetched; try again later")
        task = self._asked[url] = asyncio.create_task(self._fetched(url))
        return task

    async def _fetched(self, url: str) -> Image | _Failure:
        """Fetch an image and keep what came of it; never raises."""
        host = _host(url)
        try:
            slots = self._hosts.get(host)
            if slots is None:
                slots = self._hosts[host] = asyncio.Semaphore(AT_ONCE_OF_HOST)
            async with slots:
                known, reason = self._failed.get(host, (0.0, ""))
                if self._clock() < known:
                    return _Failure(reason)
                loop = asyncio.get_running_loop()
                found = await loop.run_in_executor(self._threads, self._read, url)
            if isinstance(found, Image):
                self._keep(url, found)
            else:
                self._fail(host if found.is_of_host else url, found.reason)
            return found
        finally:
            del self._asked[url]

    def _read(self, url: str) -> Image | _Failure:
        """Fetch an image, in a thread."""
        if not is_web(url):
            return _Failure("the address of the image is not http or https")
        began = self._clock()
        try:
            answer = self._fetcher.get(url, named=False, headers=ACCEPT)
        except InvalidInput as error:
            reason = "; ".join(problem.message for problem in error.problems)
            is_slow = self._clock() - began >= SLOW_SECONDS
            return _Failure(f"the image {reason}", is_of_host=is_slow)
        if answer.document is None:
            return _Failure(f"the image cannot be fetched: {answer.said}")
        content = answer.document.content
        found = format_of(content)
        if found is None:
            return _Failure("what is there is no image: a PNG, JPEG, GIF, WebP or AVIF is needed")
        return Image(content, found, hashlib.sha256(content).hexdigest()[:32])

    def _keep(self, url: str, image: Image) -> None:
        if len(image.content) > self._most:
            return
        self._kept[url] = image
        self._size += len(image.content)
        while self._size > self._most:
            _url, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped.content)

    def _fail(self, name: str, reason: str) -> None:
        self._failed.pop(name, None)
        self._failed[name] = self._clock() + RETRY_SECONDS, reason
        while len(self._failed) > MOST_FAILURES:
            self._failed.popitem(last=False)


def _host(url: str) -> str:
    """Return the host of an address, with its port; it is no address, so that names differ."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""
