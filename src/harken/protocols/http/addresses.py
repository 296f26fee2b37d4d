"""Where a request goes inside the application that reads it, wherever that one stands."""

from urllib.parse import unquote, unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import Headers
from starlette.types import Scope

from harken.errors import InvalidInput, Problem

READING = frozenset({"GET", "HEAD"})


class IdConvertor(Convertor[str]):
    """Ids in paths, `{name:id}`: whatever stands there, slashes and line breaks too."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """Take it as it is."""
        return value

    def to_string(self, value: str) -> str:
        """Give it as it is."""
        return value


register_url_convertor("id", IdConvertor())


def path_of(scope: Scope) -> str:
    """Return a request's path without what this application is mounted under, or served under.

    As Starlette's own routes see it: `path` is the whole path, `root_path` how it begins.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    inside = path.removeprefix(root)
    return inside if path.startswith(root) and inside[:1] in {"", "/"} else path


def last_step(scope: Scope) -> str:
    """Return what stands after a path's last slash that is written as one, decoded.

    An id may hold slashes. One that is written as `%2F` belongs to the id in any case.
    """
    raw: bytes | None = scope.get("raw_path")
    if raw is None:  # which a server may leave out
        return str(scope["path"].rpartition("/")[2])
    return unquote(raw.partition(b"?")[0].rpartition(b"/")[2].decode("latin-1"))


def check_text(scope: Scope) -> None:
    """Raise InvalidInput for an address whose bytes are no text.

    Servers put the same sign in place of all that is not UTF-8, so that different ids become one.
    """
    for part in (scope.get("raw_path") or b"", scope["query_string"]):
        try:
            unquote_to_bytes(part).decode()
        except UnicodeDecodeError:
            message = "is not UTF-8, percent-encoded, such as %C3%A9 for é"
            raise InvalidInput(Problem("address", message)) from None


def wants_page(scope: Scope) -> bool:
    """Whether it is a browser that asks, for something to show to a person."""
    accepted = Headers(scope=scope).get("accept", "")
    kinds = (part.partition(";")[0].strip().lower() for part in accepted.split(","))
    return scope["method"] in READING and "text/html" in kinds
