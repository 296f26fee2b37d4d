"""Decompression with a limit on the size of the output."""

import zlib

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 31
_ZLIB = 15
_RAW = -15
# Each member costs a copy of the remaining data.
_MOST_MEMBERS = 100


class TooLarge(Exception):
    """The decompressed data exceed the limit."""


class Broken(Exception):
    """The compressed data are damaged, or in another format than declared."""


def decompressed(data: bytes, encoding: str, limit: int) -> bytes:
    """Undo a Content-Encoding, and also undeclared gzip; raises TooLarge and Broken.

    At most `limit` + 1 bytes are decompressed.
    """
    names = [name.strip().lower() for name in encoding.split(",")]
    names = [name for name in names if name not in {"", "identity"}]
    if len(names) > 1 or (names and names[0] not in {"gzip", "x-gzip", "deflate"}):
        raise Broken(f"its Content-Encoding is {encoding!r}; gzip and deflate can be read")
    if names == ["deflate"]:
        data = _inflated(data, _ZLIB if _is_zlib(data) else _RAW, limit)
    # Some servers declare gzip for plain data, and some do not declare it for compressed files.
    for _ in range(2):
        if not data.startswith(_GZIP_MAGIC):
            break
        data = _inflated(data, _GZIP, limit)
    if len(data) > limit:
        raise TooLarge
    return data


def _is_zlib(data: bytes) -> bool:
    return len(data) > 1 and data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0


def _inflated(data: bytes, kind: int, limit: int) -> bytes:
    made = bytearray()
    members = 0
    try:
        while data:
            members += 1
            if members > _MOST_MEMBERS:
                raise Broken(f"it is compressed in more than {_MOST_MEMBERS} parts")
            engine = zlib.decompressobj(kind)
            made += engine.decompress(data, limit + 1 - len(made))
            if len(made) > limit:
                raise TooLarge
            if not engine.eof:
                raise Broken("its compressed text ends too early")
            # One gzip may follow another; anything else after the end is padding.
            data = engine.unused_data if engine.unused_data.startswith(_GZIP_MAGIC) else b""
    except zlib.error as error:
        raise Broken(f"its compressed text cannot be read: {error}") from None
    return bytes(made)
