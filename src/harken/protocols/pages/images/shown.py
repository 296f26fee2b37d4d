"""The images of notes: placeholders become signed addresses, by which they are fetched."""

import re
from urllib.parse import unquote

from harken.config import Settings
from harken.errors import NotFound
from harken.services.kblocks.importers.syndication.fetching import Fetcher
from harken.services.providers import get_feed_service
from harken.services.sources.images.addresses import SECRET_NAME, SignedAddresses
from harken.services.sources.images.proxy import MAX_BYTES, TIMEOUT_SECONDS, Image, ImageProxy
from harken.services.sources.service import REMEDY

PREFIX = "/image/"


class ShownImages:
    """Signs the images of rendered notes, and fetches them; belongs to one application."""

    def __init__(self, proxy: ImageProxy) -> None:
        self._proxy = proxy
        self._signed: SignedAddresses | None = None

    @classmethod
    def of(cls, settings: Settings) -> "ShownImages | None":
        """Return the images that the settings give; None where notes have links in their place."""
        if not settings.image_proxy:
            return None
        fetcher = Fetcher(
            private_hosts=settings.private_sources,
            remedy=REMEDY,
            timeout=TIMEOUT_SECONDS,
            max_bytes=MAX_BYTES,
        )
        return cls(ImageProxy(fetcher))

    async def placed(self, html: str, placeholder: str, root: str) -> str:
        """Return HTML whose placeholders, each with a quoted address, are addresses of images.

        Content cannot guess a placeholder. `root` is the path that the application is mounted at.
        """
        if placeholder not in html:
            return html
        signed = await self._addresses()

        def address(match: re.Match[str]) -> str:
            return f'"{root}{PREFIX}{signed.sign(unquote(match[1]))}"'

        return re.sub(f'"{re.escape(placeholder)}([^"]*)"', address, html)

    async def get(self, token: str) -> Image:
        """Return the image of a signed address.

        Raises NotFound for an address that was not signed here, Unreachable or Unavailable.
        """
        return await self._proxy.get((await self._addresses()).read(token))

    async def _addresses(self) -> SignedAddresses:
        if self._signed is None:
            secret = await (await get_feed_service()).ledger.secret(SECRET_NAME)
            self._signed = SignedAddresses(secret)
        return self._signed


def none_shown() -> NotFound:
    """Return the error of a server that shows no images."""
    return NotFound("this server shows no images of other hosts; HARKEN_IMAGE_PROXY=true does")
