"""The lines of a text in any encoding, one by one, with some of them put back."""

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

# UTF-32 goes first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Codecs whose texts are not what a file of text holds.
_NO_ENCODINGS = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7"}
_UTF_16_CHARACTERS = 4
_SURROGATE = re.compile("[\ud800-\udfff]")


class TooLong(str):
    """The beginning of a line that is longer than may be."""

    __slots__ = ()


def check_encoding(name: str) -> str:
    """Return an encoding's usual name; raises InvalidInput where there is none of this name."""
    try:
        usual = codecs.lookup(name).name
        io.TextIOWrapper(io.BytesIO(), usual)
    except (LookupError, ValueError):
        usual = ""
    if not usual or usual in _NO_ENCODINGS:
        message = f"{name!r} is none; name one such as utf-8, utf-16 or windows-1252"
        raise InvalidInput(Problem("encoding", message))
    return usual


def encoding_of(begin: bytes, given: str | None) -> str:
    """Tell the encoding of a text by how it begins, or by what is given; raises InvalidInput.

    A mark of byte order goes before all else, and must not contradict what is given.
    """
    marked = next((name for mark, name in _MARKS if begin.startswith(mark)), None)
    if given is None:
        return marked or _unmarked(begin)
    usual = check_encoding(given)
    if marked is None:
        return usual
    if not usual.startswith(marked.removesuffix("-sig")):
        message = f"is {usual} by --encoding, but begins with the mark of {marked}; leave it out"
        raise InvalidInput(Problem("file", message))
    return marked


def _unmarked(begin: bytes) -> str:
    """Know UTF-16 without a mark by its zeros, which no text of the first characters has."""
    begin = begin[: 2 * _UTF_16_CHARACTERS]
    even, odd = begin[::2], begin[1::2]
    if len(odd) >= 2 and not any(odd) and all(even):
        return "utf-16-le"
    if len(odd) >= 2 and not any(even) and all(odd):
        return "utf-16-be"
    return DEFAULT_ENCODING


class Lines:
    """The lines of a text, with their ends: LF, CR LF or CR.

    What cannot be decoded becomes lone surrogates, which make their own line invalid and no other.
    Where the file is damaged the lines end, and `damage` says how.
    """

    def __init__(self, stream: BinaryIO, encoding: str, most: int = MAX_LINE_BYTES) -> None:
        errors = "surrogatepass" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
        self._text = io.TextIOWrapper(stream, encoding, errors=errors, newline="")
        self._readline = self._text.readline
        self._back: deque[str] = deque()
        self.encoding = encoding.removesuffix("-sig")
        self.most = most
        self.number = 0
        """Of the line that was taken last, from 1."""
        self.damage: str | None = None
        self.remarks: list[str] = []

    def close(self) -> None:
        """Let the stream go, which stays open."""
        self._text.detach()

    def take(self) -> str | None:
        """Return the next line, or None where there is none; a TooLong is only its beginning."""
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
        """Have lines that were taken last taken again."""
        lines = list(lines)
        self.number -= len(lines)
        self._back.extendleft(reversed(lines))

    def undecodable(self, text: str) -> str | None:
        """Say that a text that was taken is not in its encoding, or None.

        The first one is remembered with its place, in `remarks`.
        """
        if text.isascii() or not (found := _SURROGATE.search(text)):
            return None
        reason = f"is not {self.encoding.upper()}"
        if not self.remarks:
            which = ord(found.group()) - 0xDC00
            byte = f"byte 0x{which:02X}" if 0 <= which < 256 else "a half of a character"
            other = "windows-1252" if self.encoding == DEFAULT_ENCODING else DEFAULT_ENCODING
            self.remarks.append(
                f"Line {self.number} {reason}: {byte}, after {found.start()} characters. If the "
                f"file is in another encoding, say --encoding, such as {other}."
            )
        return reason

    def rest(self) -> Row | None:
        """Return what stands for the lines that a damaged file does not give, if it is one."""
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
