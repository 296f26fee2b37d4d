"""The values of the reader's templates about what a reader has read and saved."""

from collections.abc import Sequence
from typing import Any

from harken.domain.feeds import HISTORY, READER_FEEDS, SAVED, Feed, Source, label_feed
from harken.protocols.pages.selection import Selection
from harken.services.feed.service import FeedService

_ABOUT = {
    SAVED.name: "What you saved for later, saved last first.",
    HISTORY.name: "What you have read, read last first.",
}
_OF_LABEL = {
    "tag": "Notes with the tag {}.", "author": "Notes by {}.",
    "source": "Notes of this source, newest first.",
}  # fmt: skip


def about(feed: Feed) -> str | None:
    """Return what a feed of a reader or of a label has, in a sentence; None for other feeds."""
    kind, _colon, label = feed.name.partition(":")
    if label_feed(feed.name) is not None:
        return _OF_LABEL[kind].format(label)
    return _ABOUT.get(feed.name)


class Labels:
    """The addresses of the feeds of tags and authors, for one user."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def tag(self, label: str) -> str | None:
        """Return the address of the feed of a tag; None for a label too long for a feed."""
        return self._address(f"tag:{label}")

    def author(self, label: str) -> str | None:
        """Return the address of the feed of an author; None for a label too long for a feed."""
        return self._address(f"author:{label}")

    def _address(self, name: str) -> str | None:
        return None if label_feed(name) is None else self._selection.address(name)


async def states_of(
    service: FeedService, selection: Selection, kblock_ids: Sequence[str]
) -> dict[str, Any]:
    """Return which K-Blocks are read and saved, and the addresses of labels."""
    states = await service.reading.states(selection.user, kblock_ids)
    return {"states": states, "labels": Labels(selection)}


async def values_of(service: FeedService, selection: Selection, feed: Feed) -> dict[str, Any]:
    """Return the values for the head of a feed: its title, and whether it hides what was read."""
    context = await service.readers.context(selection.user)
    return {
        "heading": await _heading(service, feed),
        "may_hide_read": not selection.is_guest and feed.name not in READER_FEEDS,
        "hide_read": context.hide_read,
        "saved_address": selection.address(SAVED.name),
        "history_address": selection.address(HISTORY.name),
    }


async def _heading(service: FeedService, feed: Feed) -> str:
    kind, _colon, label = feed.name.partition(":")
    if label_feed(feed.name) is None:
        return feed.name.capitalize()
    if kind != Source.SOURCE.value:
        return label
    return await service.sources.title(label)
