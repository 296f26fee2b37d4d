"""Small images of each format that browsers show, and files that only look like images."""

import struct
import zlib


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int = 40, height: int = 30, grey: int = 0x80) -> bytes:
    """Return a PNG of one grey, which a browser can show."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + bytes([grey]) * width) * height
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


GIF = b"GIF89a" + b"\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\0" * 40
WEBP = b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8 " + b"\0" * 22
AVIF = struct.pack(">I", 24) + b"ftypmif1" + b"\0\0\0\0" + b"mif1avif" + b"\0" * 20
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

IMAGES = {
    "image/png": png(), "image/gif": GIF, "image/jpeg": JPEG, "image/webp": WEBP,
    "image/avif": AVIF,
}  # fmt: skip
OTHERS = {
    "nothing": b"", "svg": SVG, "svg with a declaration": b'<?xml version="1.0"?>' + SVG,
    "html": b"<!doctype html><script>alert(1)</script>", "text": b"hello",
    "the beginning of a PNG": b"\x89PNG\r\n\x1a\n", "another RIFF": b"RIFF\0\0\0\0WAVEfmt ",
    "a film": struct.pack(">I", 24) + b"ftypisom" + b"\0" * 30,
    "a box without end": b"\xff\xff\xff\xffftypavif" + b"\0" * 8,
    "html before a PNG": b"<!--" + png(), "bmp": b"BM" + b"\0" * 60, "pdf": b"%PDF-1.7",
}  # fmt: skip
