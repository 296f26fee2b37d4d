"""The JSON form of sources, which REST and the command line share."""

from typing import Any

from harken.services.kblocks.web_addresses import without_secrets
from harken.services.sources.refreshing import Refreshed
from harken.services.sources.service import Preference, Subscribed
from harken.services.sources.store import Listed
from harken.services.sources.subscription import Subscription


def source(
    found: Subscription, *, items: int | None = None, wanted: Preference | None = None,
    for_readers: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Return the JSON form of a source.

    Addresses may contain secrets, so one `for_readers` has neither its address nor its error.
    """
    shown: dict[str, Any] = {
        "id": found.source_id,
        "feed": f"source:{found.source_id}",
        "title": found.shown_title,
        "given_title": found.given_title,
        "url": None if for_readers else without_secrets(found.url),
        "site_url": found.site_url,
        "added_by": None if for_readers else found.added_by,
        "added_at": found.added_at,
        "checked_at": found.checked_at,
        "succeeded_at": found.succeeded_at,
        "next_at": found.due_at,
        "error": None if for_readers else found.error,
        "failures": found.failures,
        "is_gone": found.is_gone,
    }
    if items is not None:
        shown["items"] = items
    if wanted is not None:
        shown |= wanted._asdict()
    return shown


def listed(found: Listed, wanted: Preference | None, *, for_readers: bool) -> dict[str, Any]:
    """Return the JSON form of a source of a list."""
    return source(found.source, items=found.items, wanted=wanted, for_readers=for_readers)


def refreshed(found: Refreshed, *, for_readers: bool = False) -> dict[str, Any]:
    """Return the JSON form of what came of asking a source."""
    return {
        "result": found.result.value,
        "added": found.added,
        "updated": found.updated,
        "source": source(found.source, for_readers=for_readers),
    }


def subscribed(found: Subscribed, *, for_readers: bool = False) -> dict[str, Any]:
    """Return the JSON form of a new subscription."""
    status = "added" if found.is_new else "known"
    return {
        "status": status,
        "others": found.others,
        **refreshed(found.refreshed, for_readers=for_readers),
    }
