"""Byte streams of files, decompressed if necessary, up to a size."""

import gzip
import io
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

from pydantic import ByteSize, TypeAdapter, ValidationError

from harken.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_SIZE = 4 * 1024**3
"""The default limit on the decompressed size of a file, in bytes."""

GZIP_MAGIC = b"\x1f\x8b"
MAGIC_BYTES = 8

# Formats by their first bytes, and how to convert them to text.
_OTHERS = {
    b"\x28\xb5\x2f\xfd": ("compressed with Zstandard", "decompress it first: zstd -d FILE"),
    b"PK\x03\x04": ("a ZIP archive", "unpack it first: unzip FILE"),
    b"BZh": ("compressed with bzip2", "decompress it first: bunzip2 FILE"),
    b"\xfd7zXZ\x00": ("compressed with xz", "decompress it first: unxz FILE"),
    b"\x04\x22\x4d\x18": ("compressed with LZ4", "decompress it first: lz4 -d FILE"),
    b"PAR1": ("a Parquet file", "give --format parquet"),
    b"ORC": ("an ORC file", "export it as CSV, JSON lines or Parquet"),
    b"Obj\x01": ("an Avro file", "export it as CSV, JSON lines or Parquet"),
    b"SQLite f": ("an SQLite database", "export its table as CSV"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", "save it as CSV"),
}

DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, OSError)
"""The errors of reading a damaged compressed file, or a damaged disk."""


class TooLarge(OSError):
    """The decompressed data of a file exceed the limit."""


def parse_size(text: str) -> int:
    """Parse a size such as `4GiB`, `500MB` or a number of bytes; raises InvalidInput."""
    try:
        size = TypeAdapter(ByteSize).validate_python(text)
    except (ValidationError, ValueError, OverflowError):
        size = ByteSize(0)
    if not 0 < size < 2**63:
        raise InvalidInput(Problem("max-size", f"{text!r} must be a size such as 4GiB or 500MB"))
    return int(size)


def text_stream(raw: io.BufferedReader, max_size: int) -> io.BufferedReader:
    """Return the decompressed stream of a text file; raises InvalidInput for other formats."""
    begin = raw.peek(MAGIC_BYTES)[:MAGIC_BYTES]
    for magic, (what, advice) in _OTHERS.items():
        if begin.startswith(magic):
            raise InvalidInput(Problem("file", f"is {what}; {advice}"))
    if not begin.startswith(GZIP_MAGIC):
        return raw
    packed = cast("BinaryIO", gzip.GzipFile(fileobj=raw))  # its type does not say it is a file
    return io.BufferedReader(_Bounded(packed, max_size), 256 * 1024)


class _Bounded(io.RawIOBase):
    """A stream that raises TooLarge after `most` bytes."""

    def __init__(self, stream: BinaryIO, most: int) -> None:
        self._stream = stream
        self._most = most
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, target: "WriteableBuffer", /) -> int:
        """Read some bytes; raises TooLarge if there are more than the limit."""
        buffer = memoryview(target)
        some = self._stream.read(len(buffer))
        if len(some) > self._left:
            raise TooLarge(f"has more than {self._most} bytes decompressed; --max-size allows more")
        self._left -= len(some)
        buffer[: len(some)] = some
        return len(some)
