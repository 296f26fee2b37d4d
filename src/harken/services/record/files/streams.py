"""The bytes of a file, decompressed where it is compressed, up to a size."""

import gzip
import io
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

from pydantic import ByteSize, TypeAdapter, ValidationError

from harken.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_SIZE = 4 * 1024**3
"""How many bytes may come out of a compressed file, unless another size is given."""

GZIP_MAGIC = b"\x1f\x8b"
MAGIC_BYTES = 8

# What a file is that begins with these bytes, and what makes a text of it.
_OTHERS = {
    b"\x28\xb5\x2f\xfd": ("compressed with Zstandard", "decompress it first: zstd -d FILE"),
    b"PK\x03\x04": ("a ZIP archive", "unpack it first: unzip FILE"),
    b"BZh": ("compressed with bzip2", "decompress it first: bunzip2 FILE"),
    b"\xfd7zXZ\x00": ("compressed with xz", "decompress it first: unxz FILE"),
    b"\x04\x22\x4d\x18": ("compressed with LZ4", "decompress it first: lz4 -d FILE"),
    b"PAR1": ("a Parquet file", "say --format parquet"),
    b"ORC": ("an ORC file", "export it as CSV, JSON lines or Parquet"),
    b"Obj\x01": ("an Avro file", "export it as CSV, JSON lines or Parquet"),
    b"SQLite f": ("a database of SQLite", "export its table as CSV"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", "save it as CSV"),
}

DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, OSError)
"""What reading a compressed file raises where it is damaged, or the disk is."""


class TooLarge(OSError):
    """More came out of a compressed file than may come out."""


def parse_size(text: str) -> int:
    """Read a size such as `4GiB`, `500MB` or a number of bytes; raises InvalidInput."""
    try:
        size = TypeAdapter(ByteSize).validate_python(text)
    except (ValidationError, ValueError, OverflowError):
        size = ByteSize(0)
    if not 0 < size < 2**63:
        raise InvalidInput(Problem("max-size", f"{text!r} must be a size such as 4GiB or 500MB"))
    return int(size)


def text_stream(raw: io.BufferedReader, max_size: int) -> io.BufferedReader:
    """Return what a file of text holds, decompressed; raises InvalidInput where it is no text."""
    begin = raw.peek(MAGIC_BYTES)[:MAGIC_BYTES]
    for magic, (what, advice) in _OTHERS.items():
        if begin.startswith(magic):
            raise InvalidInput(Problem("file", f"is {what}; {advice}"))
    if not begin.startswith(GZIP_MAGIC):
        return raw
    packed = cast("BinaryIO", gzip.GzipFile(fileobj=raw))  # it reads as a file does
    return io.BufferedReader(_Bounded(packed, max_size), 256 * 1024)


class _Bounded(io.RawIOBase):
    """A stream out of which no more than `most` bytes come."""

    def __init__(self, stream: BinaryIO, most: int) -> None:
        self._stream = stream
        self._most = most
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, target: "WriteableBuffer", /) -> int:
        """Read some; raises TooLarge where there is more than may come out."""
        buffer = memoryview(target)
        some = self._stream.read(len(buffer))
        if len(some) > self._left:
            raise TooLarge(f"more than {self._most} bytes come out of it; --max-size allows more")
        self._left -= len(some)
        buffer[: len(some)] = some
        return len(some)
