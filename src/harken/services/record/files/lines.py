"""Reading of the lines of a text in any encoding, with the possibility to put lines back."""

import codecs
import io
import re
from collections import deque
from collections.abc import Iterable
from typing import BinaryIO

from harken.errors import InvalidInput, Problem
from harken.services.record.files.rows import Row
from harken.services.record.files.streams import DAMAGE, TooLarge

MAX_LINE_BYTES = 1024 * 1024
DEFAULT_ENCODING = "utf-8"

# UTF-32 comes first: its byte order mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Codecs of Python that are not encodings of text files.
_NO_ENCODINGS = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7"}
_UTF_16_CHARACTERS = 4
_SURROGATE = re.compile("[\ud800-\udfff]")


class TooLong(str):
    """The beginning of a line that is longer than the limit."""

    __slots__ = ()


def check_encoding(name: str) -> str:
    """Return the canonical name of an encoding; raises InvalidInput if it is unknown."""
    try:
        usual = codecs.lookup(name).name
        io.TextIOWrapper(io.BytesIO(), usual)
    except (LookupError, ValueError):
        usual = ""
    if not usual or usual in _NO_ENCODINGS:
        message = f"{name!r} is not an encoding such as utf-8, utf-16 or windows-1252"
        raise InvalidInput(Problem("encoding", message))
    return usual


def encoding_of(begin: bytes, given: str | None) -> str:
    """Return the encoding of a text from its first bytes, or the given one; raises InvalidInput.

    A byte order mark takes precedence, and must agree with the given encoding.
    """
    marked = next((name for mark, name in _MARKS if begin.startswith(mark)), None)
    if given is None:
        return marked or _unmarked(begin)
    usual = check_encoding(given)
    if marked is None:
        return usual
    if not usual.startswith(marked.removesuffix("-sig")):
        message = (
            f"begins with the byte order mark of {marked}, but --encoding is {usual}; leave out "
            "--encoding"
        )
        raise InvalidInput(Problem("file", message))
    return marked


def _unmarked(begin: bytes) -> str:
    """Detect UTF-16 without a byte order mark, by the zero bytes of ASCII characters."""
    begin = begin[: 2 * _UTF_16_CHARACTERS]
    even, odd = begin[::2], begin[1::2]
    if len(odd) >= 2 and not any(odd) and all(even):
        return "utf-16-le"
    if len(odd) >= 2 and not any(even) and all(odd):
        return "utf-16-be"
    return DEFAULT_ENCODING


class Lines:
    """The lines of a text, with their line ends: LF, CR LF or CR.

    Bytes that cannot be decoded become lone surrogates, so that only their own line is invalid. In
    a damaged file, the lines end at the damage, and `damage` describes it.
    """

    def __init__(self, stream: BinaryIO, encoding: str, most: int = MAX_LINE_BYTES) -> None:
        errors = "surrogatepass" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
        self._text = io.TextIOWrapper(stream, encoding, errors=errors, newline="")
        self._readline = self._text.readline
        self._back: deque[str] = deque()
        self.encoding = encoding.removesuffix("-sig")
        self.most = most
        self.number = 0
        """The number of the last line that was taken, from 1."""
        self.damage: str | None = None
        self.remarks: list[str] = []

    def close(self) -> None:
        """Detach from the stream, which stays open."""
        self._text.detach()

    def take(self) -> str | None:
        """Return the next line, or None at the end; a TooLong is only the beginning of its line."""
        if self._back:
            self.number += 1
            return self._back.popleft()
        line = self._read()
        if not line:
            return None
        self.number += 1
        if 4 * len(line) > self.most and self._is_too_long(line):
            rest = line
            while rest and not rest.endswith(("\n", "\r")):
                rest = self._read()
            return TooLong(line)
        return line

    def put_back(self, lines: Iterable[str]) -> None:
        """Put back the lines that were taken last, so that they are taken again."""
        lines = list(lines)
        self.number -= len(lines)
        self._back.extendleft(reversed(lines))

    def undecodable(self, text: str) -> str | None:
        """Return a problem if a text could not be decoded, else None.

        The first problem is also added to `remarks`, with its position.
        """
        if text.isascii() or not (found := _SURROGATE.search(text)):
            return None
        reason = f"is not {self.encoding.upper()}"
        if not self.remarks:
            which = ord(found.group()) - 0xDC00
            byte = f"byte 0x{which:02X}" if 0 <= which < 256 else "half of a character"
            other = "windows-1252" if self.encoding == DEFAULT_ENCODING else DEFAULT_ENCODING
            self.remarks.append(
                f"Line {self.number} {reason}: {byte}, after {found.start()} characters. If the "
                f"file has another encoding, give --encoding, such as {other}."
            )
        return reason

    def rest(self) -> Row | None:
        """Return a row for the lines after the damage of a file; None if there is no damage."""
        if self.damage is None:
            return None
        return Row(self.number + 1, self.damage, lines=0)

    def _is_too_long(self, line: str) -> bool:
        if len(line) > self.most or line.isascii():
            return len(line) > self.most
        return len(line.encode("utf-8", "surrogatepass")) > self.most

    def _read(self) -> str:
        if self.damage is not None:
            return ""
        try:
            return self._readline(self.most + 1)
        except UnicodeDecodeError as error:
            self.damage = f"is not {self.encoding.upper()} from here on: {error.reason}"
        except TooLarge as error:
            self.damage = f"reading stops here: {error}"
        except DAMAGE as error:
            self.damage = f"the file is damaged from here on: {error}"
        return ""
