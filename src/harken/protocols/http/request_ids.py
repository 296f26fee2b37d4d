"""The id of a request: what its sender calls it, or a new one."""

import itertools
import secrets

from starlette.types import Scope

REQUEST_HEADER = "X-Request-ID"
_HEADER = REQUEST_HEADER.lower().encode()
_KEPT = "harken.request"
LONGEST = 64
# A random part for the process, and a number.
_PROCESS = secrets.token_hex(8).encode()
_COUNTER = itertools.count(1)


def request_id_of(scope: Scope) -> bytes:
    """Return the id of a request, which stays the same in all layers.

    The sender's `X-Request-ID` is used if it is plain: letters, digits and dashes, at most 64.
    """
    kept: bytes | None = scope.get(_KEPT)
    if kept is None:
        sent = next((value for name, value in scope["headers"] if name == _HEADER), None)
        kept = scope[_KEPT] = _plain(sent) or b"%b-%x" % (_PROCESS, next(_COUNTER))
    return kept


def _plain(given: bytes | None) -> bytes | None:
    if given is None or len(given) > LONGEST or not given.replace(b"-", b"").isalnum():
        return None
    return given
