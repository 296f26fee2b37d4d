"""The JSON of a request's body: read in one way, whichever route it is for.

Taken is JSON as RFC 8259 has it, in UTF-8 (a byte order mark may come first), without names that
stand in an object twice, and not nested more than 200 deep. Whatever is not gets a 4xx that says
what would be right, and quotes little of it.
"""

import asyncio
import json
import re
from collections.abc import Iterable
from typing import Any

from fastapi import HTTPException, Request
from jiter import from_json
from starlette.types import Message, Receive

from harken.errors import quoted

BODY_LIMIT = 64 * 1024
BATCH_BODY_LIMIT = 8 * 1024 * 1024
# A value may take many times the memory of its JSON. So many are less than 200 MB.
MOST_VALUES = 2_500_000
# Larger bodies are read beside the event loop.
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
    "recursion limit exceeded": "It is nested more than 200 deep",
    "number out of range": "It has a number of thousands of digits",
    "invalid unicode code point": "It is not UTF-8",
}


class JSONRequest(Request):
    """A request whose body is read by these rules, and limited to `limit` bytes."""

    def __init__(self, request: Request, limit: int) -> None:
        super().__init__(request.scope, request.receive)
        self._limit = limit

    async def body(self) -> bytes:
        """Return the body. Raises HTTPException where it is too large, encoded or incomplete."""
        if not hasattr(self, "_body"):
            content_type(self.scope["headers"])
            self._body = await read_body(self.receive, self._limit)
        return self._body

    async def json(self) -> Any:
        """Return what the body's JSON stands for. Raises HTTPException."""
        if not hasattr(self, "_json"):
            self._json = await parsed(await self.body())
        return self._json


def content_type(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the Content-Type of a request, less its parameters, in lower case.

    Raises HTTPException (415) where the body is compressed, or in another charset than UTF-8.
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
        raise HTTPException(415, f"The charset {name_} is not taken; send JSON as UTF-8.")
    return found.partition(b";")[0].strip()


def _check_encoding(value: bytes) -> None:
    if value.strip().lower() not in {b"", b"identity"}:
        coding = quoted(value.decode("latin-1"))
        raise HTTPException(
            415,
            f"The Content-Encoding {coding} is not taken; send the body as it is, uncompressed.",
            headers={"Accept-Encoding": "identity"},
        )


async def read_body(receive: Receive, limit: int) -> bytes:
    """Receive a body. Raises HTTPException where it has more than `limit` bytes, or breaks off."""
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
    """Return what JSON stands for; a large body is read in a thread. Raises HTTPException."""
    return await asyncio.to_thread(parse_json, body) if len(body) > LARGE else parse_json(body)


def parse_json(body: bytes) -> Any:
    """Return what JSON stands for. Raises HTTPException: 400, or 413 where it has many values."""
    if len(body) > MOST_VALUES and _values(body) > MOST_VALUES:
        raise HTTPException(
            413, f"The body has more than {MOST_VALUES} commas and brackets; send less at once."
        )
    try:
        return from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        return _read_again(body, str(error))


def _values(body: bytes) -> int:
    """Count what can begin a value; what stands in texts is counted too, since that is quick."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _read_again(body: bytes, problem: str) -> Any:
    """Return what the JSON stands for if it can be taken after all, else say what is wrong."""
    if body.startswith(_BOM):
        return parse_json(body[len(_BOM) :])
    if problem.startswith(_SURROGATE):
        return _with_surrogates(body)
    raise _refusal(body, problem)


def _refusal(body: bytes, problem: str) -> HTTPException:
    if found := _DUPLICATE.match(problem):
        said = f"The name {quoted(found[1])} stands twice in an object, again at {found[2]}"
        return HTTPException(400, f"{said}; send it once.")
    if body.startswith(_GZIP):
        return HTTPException(400, "The body looks like gzip; send JSON as it is, uncompressed.")
    if b"\x00" in body[:4] or body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return HTTPException(400, "The body looks like UTF-16 or UTF-32; send JSON as UTF-8.")
    reason = _WHERE.sub("", problem)
    where = problem[len(reason) :]
    if reason in _MEANINGS:
        return HTTPException(400, f"The body is not taken: {_MEANINGS[reason]}{where}.")
    return HTTPException(400, f"The body is not JSON: {quoted(reason)[1:-1]}{where}.")


def _with_surrogates(body: bytes) -> Any:
    """Read JSON with lone surrogates, so that the field that holds one can be named."""
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
                400, f"The name {quoted(name)} stands twice in an object; send it once."
            )
        seen.add(name)
    return found


def _refuse_constant(name: str) -> Any:
    raise HTTPException(400, f"The body is not JSON: {name} is no number of JSON.")
