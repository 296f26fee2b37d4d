"""Enclosures of entries: files with the sizes and durations that their feeds say."""

import re
from collections.abc import Iterable

from harken.domain.fields import whole_number
from harken.services.kblocks.attachments import MOST_ATTACHMENTS, Attachment
from harken.services.kblocks.web_addresses import is_web

LEAST_SIZE = 1_000
"""Many feeds say 0 or 1 of a file whose size they do not know."""
MOST_SIZE = 10**12
MOST_SECONDS = 10 * 86_400
_CLOCK = re.compile(r"(?:(?:([0-9]{1,4}):)?([0-9]{1,6}):)?([0-9]{1,9})(?:\.[0-9]*)?")


def read_size(text: str) -> int | None:
    """Return a number of bytes; None for one that cannot be that of a file."""
    size = whole_number(text)
    return size if size is not None and LEAST_SIZE <= size <= MOST_SIZE else None


def read_seconds(text: str) -> int | None:
    """Return a duration in seconds, from seconds, `MM:SS` or `HH:MM:SS`; None if it is none."""
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = hours * 3_600 + minutes * 60 + seconds
    return total if 0 < total <= MOST_SECONDS else None


def usable(files: Iterable[Attachment], seconds: int | None = None) -> tuple[Attachment, ...]:
    """Return the distinct files with a URL of http or https, at most `MOST_ATTACHMENTS`.

    What is said of one URL twice is joined, where it stands last. `seconds` is the duration of the
    entry: it is that of its first file that may be played, if that file has none of its own.
    """
    distinct: dict[str, Attachment] = {}
    for file in files:
        if is_web(file.url):
            known = distinct.pop(file.url, None)
            distinct[file.url] = file if known is None else _joined(known, file)
    found = list(distinct.values())[:MOST_ATTACHMENTS]
    for place, file in enumerate(found):
        if file.is_played or not file.media_type:
            found[place] = file._replace(seconds=file.seconds or seconds)
            break
    return tuple(found)


def _joined(one: Attachment, other: Attachment) -> Attachment:
    return Attachment(
        one.url,
        one.title or other.title,
        one.media_type or other.media_type,
        one.size_bytes or other.size_bytes,
        one.seconds or other.seconds,
    )
