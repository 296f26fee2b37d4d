"""Parsing of JSON request bodies; all routes use the same rules.

A body must be JSON (RFC 8259) in UTF-8, optionally with a byte order mark, without duplicate names
in an object, and at most 200 levels deep. Any other body gets a 4xx that says what would be valid
and quotes only a few characters of the body.
"""

import asyncio
import json
import re
from collections.abc import Iterable
from typing import Any

from jiter import from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from harken.errors import quoted
from harken.protocols.http.size_limits import MOST_VALUES

# Bytes; larger bodies are parsed in a thread, so that they do not block the event loop.
LARGE = 256 * 1024

JSON = b"application/json"
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_CHARSET = re.compile(rb'charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)
_TAKEN_CHARSETS = {b"utf-8", b"utf8", b"us-ascii"}
_DUPLICATE = re.compile(r'Detected duplicate key "(.*)" at (line \d+ column \d+)', re.DOTALL)
_WHERE = re.compile(r" at line \d+ column \d+$")
_SURROGATE = ("lone leading surrogate", "unexpected end of hex escape")
_MEANINGS = {
    "recursion limit exceeded": "it is nested more than 200 levels deep",
    "number out of range": "it has a number of thousands of digits",
    "invalid unicode code point": "it is not UTF-8",
}


class JSONRequest(Request):
    """A request whose body is parsed by these rules and has at most `limit` bytes."""

    def __init__(self, request: Request, limit: int) -> None:
        super().__init__(request.scope, request.receive)
        self._limit = limit

    async def body(self) -> bytes:
        """Return the body. Raises HTTPException if it is too large, compressed or incomplete."""
        if not hasattr(self, "_body"):
            content_type(self.scope["headers"])
            self._body = await read_body(self.receive, self._limit)
        return self._body

    async def json(self) -> Any:
        """Return the parsed body. Raises HTTPException."""
        if not hasattr(self, "_json"):
            self._json = await parsed(await self.body())
        return self._json


def content_type(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the Content-Type of a request in lower case, without its parameters.

    Raises HTTPException (415) if the body is compressed, or in another charset than UTF-8.
    """
    found = b""
    for name, value in headers:
        if name == b"content-type":
            found = found or value.lower()
        elif name == b"content-encoding":
            _check_encoding(value)
    if b";" not in found:
        return found.strip()
    charset = _CHARSET.search(found)
    if charset and charset[1] not in _TAKEN_CHARSETS:
        name_ = quoted(charset[1].decode("latin-1"))
        raise HTTPException(415, f"The charset {name_} is not supported; send JSON as UTF-8.")
    return found.partition(b";")[0].strip()


def _check_encoding(value: bytes) -> None:
    if value.strip().lower() not in {b"", b"identity"}:
        coding = quoted(value.decode("latin-1"))
        raise HTTPException(
            415,
            f"The Content-Encoding {coding} is not supported; send the body uncompressed.",
            headers={"Accept-Encoding": "identity"},
        )


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return a body. Raises HTTPException if it exceeds `limit` bytes or is incomplete."""
    message = await receive()
    content = _content(message)
    if not message.get("more_body", False) and len(content) <= limit:
        return content
    parts, size = [content], len(content)
    while size <= limit and message.get("more_body", False):
        message = await receive()
        parts.append(_content(message))
        size += len(parts[-1])
    if size > limit:
        raise HTTPException(413, f"The body is larger than {limit} bytes; send less at once.")
    return b"".join(parts)


def _content(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise HTTPException(400, "The connection ended before the body did.")
    content: bytes = message.get("body", b"")
    return content


async def parsed(body: bytes) -> Any:
    """Return the value of JSON; a large body is parsed in a thread. Raises HTTPException."""
    return await asyncio.to_thread(parse_json, body) if len(body) > LARGE else parse_json(body)


def parse_json(body: bytes) -> Any:
    """Return the value of JSON. Raises HTTPException: 400, or 413 if it has too many values."""
    if len(body) > MOST_VALUES and _count_values(body) > MOST_VALUES:
        raise HTTPException(
            413, f"The body has more than {MOST_VALUES} commas and brackets; send less at once."
        )
    try:
        return from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        return _retry_or_refuse(body, str(error))


def _count_values(body: bytes) -> int:
    """Return an upper bound of the number of values; characters in strings count, too."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _retry_or_refuse(body: bytes, problem: str) -> Any:
    """Return the value if a byte order mark or a surrogate caused the error, else raise."""
    if body.startswith(_BOM):
        return parse_json(body[len(_BOM) :])
    if problem.startswith(_SURROGATE):
        return _with_surrogates(body)
    raise _refusal(body, problem)


def _refusal(body: bytes, problem: str) -> HTTPException:
    if found := _DUPLICATE.match(problem):
        message = f"The name {quoted(found[1])} is duplicated in an object at {found[2]}"
        return HTTPException(400, f"{message}; send it once.")
    if body.startswith(_GZIP):
        return HTTPException(400, "The body looks like gzip; send JSON as it is, uncompressed.")
    if b"\x00" in body[:4] or body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return HTTPException(400, "The body looks like UTF-16 or UTF-32; send JSON as UTF-8.")
    reason = _WHERE.sub("", problem)
    where = problem[len(reason) :]
    if reason in _MEANINGS:
        return HTTPException(400, f"The body is not accepted: {_MEANINGS[reason]}{where}.")
    return HTTPException(400, f"The body is not JSON: {quoted(reason)[1:-1]}{where}.")


def _with_surrogates(body: bytes) -> Any:
    """Parse JSON with lone surrogates, so that a later error can name the field."""
    try:
        return json.loads(body, object_pairs_hook=_distinct, parse_constant=_refuse_constant)
    except RecursionError:
        raise _refusal(body, "recursion limit exceeded") from None
    except UnicodeDecodeError:
        raise _refusal(body, "invalid unicode code point") from None
    except json.JSONDecodeError as error:
        place = f" at line {error.lineno} column {error.colno}"
        raise _refusal(body, f"{error.msg.lower()}{place}") from None
    except ValueError:
        raise _refusal(body, "number out of range") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise HTTPException(
                400, f"The name {quoted(name)} is duplicated in an object; send it once."
            )
        seen.add(name)
    return found


def _refuse_constant(name: str) -> Any:
    raise HTTPException(400, f"The body is not JSON: {name} is not a JSON number.")
