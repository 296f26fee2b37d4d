"""The id of a trace, from the header `traceparent` (W3C Trace Context, level 1)."""

import re

# version, trace id, parent id, flags; later versions may append more
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)
LONGEST = 512

TRACE = "harken.trace"
"""Where the scope of a request has the id of the trace that this process makes of it."""


def trace_id_of(header: bytes) -> str | None:
    """Return the id of a trace, 32 hex digits; None for a header that cannot be read.

    >>> trace_id_of(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    found = _TRACEPARENT.fullmatch(header) if len(header) <= LONGEST else None
    return None if found is None else found[1].decode()
