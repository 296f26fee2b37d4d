"""Addresses of requests: paths relative to the application, which may be mounted below another."""

from collections.abc import Iterable, Sequence
from urllib.parse import unquote, unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import Headers
from starlette.types import Message, Scope, Send

from harken.errors import InvalidInput, Problem

READING = frozenset({"GET", "HEAD"})
PREFIX = "/api"
"""What the paths of REST begin with."""


class IdConvertor(Convertor[str]):
    """Converter of ids in paths, `{name:id}`: an id may contain slashes and line breaks."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """Return the text of the path unchanged."""
        return value

    def to_string(self, value: str) -> str:
        """Return the id unchanged."""
        return value


register_url_convertor("id", IdConvertor())


def path_of(scope: Scope) -> str:
    """Return the path of a request without the prefix that the application is mounted at.

    As in Starlette's routing, `path` is the whole path and `root_path` the prefix.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    inside = path.removeprefix(root)
    return inside if path.startswith(root) and inside[:1] in {"", "/"} else path


def last_step(scope: Scope) -> str:
    """Return the last step of a path, decoded: the text after the last unescaped slash.

    A slash that is written as `%2F` is part of an id and does not separate steps.
    """
    raw: bytes | None = scope.get("raw_path")
    if raw is None:  # ASGI servers may omit it
        return str(scope["path"].rpartition("/")[2])
    return unquote(raw.partition(b"?")[0].rpartition(b"/")[2].decode("latin-1"))


def check_text(scope: Scope) -> None:
    """Raise InvalidInput for an address that is not UTF-8.

    Servers replace every invalid byte by the same character, so different ids would become one.
    """
    for part in (scope.get("raw_path") or b"", scope["query_string"]):
        try:
            unquote_to_bytes(part).decode()
        except UnicodeDecodeError:
            message = "is not UTF-8, percent-encoded, such as %C3%A9 for é"
            raise InvalidInput(Problem("address", message)) from None


def accepts_html(scope: Scope) -> bool:
    """Return whether a request reads and accepts HTML, as that of a browser does."""
    accepted = Headers(scope=scope).get("accept", "")
    kinds = (part.partition(";")[0].strip().lower() for part in accepted.split(","))
    return scope["method"] in READING and "text/html" in kinds


def check_parameters(sent: Iterable[str], known: Sequence[str]) -> None:
    """Raise InvalidInput for parameters that a route does not have; `sent` are their names."""
    unknown = [name for name in sent if name not in known]
    if unknown:
        first, *others = unknown
        allowed = f"use {', '.join(known)}" if known else "there are no parameters here"
        raise InvalidInput(
            Problem(first, f"is not a known parameter; {allowed}"),
            *(Problem(name, "is not a known parameter") for name in others),
        )


def without_body(send: Send) -> Send:
    """Return a `send` that drops the body of an answer, as HEAD requires."""

    async def send_without_body(message: Message) -> None:
        is_body = message["type"] == "http.response.body"
        await send({**message, "body": b""} if is_body else message)

    return send_without_body
