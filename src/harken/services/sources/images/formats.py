"""Formats of images, recognised by the first bytes of a file.

Only formats of pixels, which all browsers show, are known. SVG is not among them: it is a document
that may contain scripts and load other files.
"""

from typing import NamedTuple

_AVIF = {b"avif", b"avis"}
_MOST_BRANDS = 32


class ImageFormat(NamedTuple):
    """A format of images: its media type, and how names of its files end."""

    media_type: str
    ending: str


PNG = ImageFormat("image/png", "png")
JPEG = ImageFormat("image/jpeg", "jpg")
GIF = ImageFormat("image/gif", "gif")
WEBP = ImageFormat("image/webp", "webp")
AVIF = ImageFormat("image/avif", "avif")


def format_of(content: bytes) -> ImageFormat | None:
    """Return the format of an image; None for anything else.

    The signatures are those of the WHATWG's MIME Sniffing Standard, each with what must follow it;
    that of AVIF is the brand in the box `ftyp` (ISO/IEC 14496-12).
    """
    if content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR":
        return PNG
    if content.startswith(b"\xff\xd8\xff"):
        return JPEG
    if content.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP" and content[12:15] == b"VP8":
        return WEBP
    return AVIF if _is_avif(content) else None


def _is_avif(content: bytes) -> bool:
    size = int.from_bytes(content[:4], "big")
    if content[4:8] != b"ftyp" or not 16 <= size <= 16 + 4 * _MOST_BRANDS:
        return False
    brands = [content[at : at + 4] for at in (8, *range(16, size, 4))]
    return not _AVIF.isdisjoint(brands)
