"""Stable ids of articles across imports.

The id of an article is a hash of its feed's key and its own key. The key of a feed from the web is
its URL in the form of `same_address`, which does not change when the site moves to https. So
articles of two feeds with the same guids have different ids.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from harken.services.kblocks.importers.recognition import Identity, same_address
from harken.services.kblocks.importers.syndication.entries import Entry, FeedHead


def identities(
    head: FeedHead, entries: Sequence[Entry], *, url: str | None, path: str, name: str
) -> Iterator[tuple[str, Identity]]:
    """Yield the id of each entry of a document, and the other ids under which it may be stored.

    `url` is the requested URL, or `path` the file. `name` is the feed's name by the formula of
    earlier versions.

    Entries with the same guid, or the same link and no guid, are distinguished by link, title and
    date, and if these are the same too, by their content.
    """
    feeds = _keys(head, url, path)
    formers = list(_former_feeds(head, name))
    plain = [_own(head, entry, url) for entry in entries]
    detailed = [_detailed(own, entry) for own, entry in zip(plain, entries, strict=True)]
    times, times_detailed = Counter(plain), Counter(detailed)
    for own, detail, entry in zip(plain, detailed, entries, strict=True):
        is_shared = times[own] > 1
        names = [detail, own] if is_shared else [own, detail]
        if times_detailed[detail] > 1:
            content = _digest(entry.html, *entry.enclosures_text)
            names.insert(0, f"{detail}\0{content}")
        ids = [_id(feed, each) for feed in feeds for each in names]
        ids += [
            _digest(feed, each)
            for feed in formers
            for each in _variants(entry.guid or entry.link or entry.title)
        ]
        apart = None if url else _id(f"file:{path}", names[0])
        others = (*ids[1:], apart) if apart else ids[1:]
        yield ids[0], Identity(tuple(dict.fromkeys(others)), apart, is_shared)


def _keys(head: FeedHead, url: str | None, path: str) -> list[str]:
    """Return the keys of a feed, best first."""
    links = [same_address(each) for each in (head.self_link, head.guid, head.link) if each]
    if url is not None:
        return list(dict.fromkeys([same_address(url), *links]))
    # A file without any of these is identified by its path.
    return list(dict.fromkeys(links)) or [f"file:{path}"]


def _own(head: FeedHead, entry: Entry, url: str | None) -> str:
    if entry.guid:
        return same_address(entry.guid)
    homes = {same_address(each) for each in (head.link, head.self_link, url or "") if each}
    link = same_address(entry.link)
    # A link to the feed's home page does not identify an entry.
    return link if link and link not in homes else _detailed("", entry)


def _detailed(key: str, entry: Entry) -> str:
    return "\0".join((key, same_address(entry.link), entry.title, *entry.dates[:1]))


def _former_feeds(head: FeedHead, name: str) -> Iterator[str]:
    """Yield the feed's names in earlier versions, with http and with https."""
    yield from _variants(head.guid or head.raw_link or name)
    if not (head.guid or head.raw_link):
        return
    if head.guid and head.raw_link:
        yield from _variants(head.raw_link)


def _variants(text: str) -> Iterable[str]:
    if text.startswith("http://"):
        return (text, f"https://{text[7:]}")
    if text.startswith("https://"):
        return (text, f"http://{text[8:]}")
    return (text,)


def _id(feed: str, own: str) -> str:
    return _digest("feed", feed, own)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
