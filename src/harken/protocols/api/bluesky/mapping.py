"""Interactions of Bluesky's clients as events.

The shape is that of the lexicon `app.bsky.feed.sendInteractions`. An item is an AT URI, which is
longer than an id may be: its K-Block has the URI's SHA-256 as its id.
"""

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from harken.domain.feedback import FeedbackAction
from harken.domain.fields import Text, is_identifier, parse
from harken.errors import InvalidInput, Problem, quoted

DEFINITIONS = "app.bsky.feed.defs#"
LONGEST_URI = 8_192
LONGEST_CONTEXT = 2_000
LONGEST_REQUEST = 100

EVENTS: dict[str, tuple[FeedbackAction, str]] = {
    "interactionSeen": (FeedbackAction.VIEW, "seen"),
    "clickthroughItem": (FeedbackAction.ENGAGE, "open"),
    "clickthroughAuthor": (FeedbackAction.ENGAGE, "open_author"),
    "clickthroughReposter": (FeedbackAction.ENGAGE, "open_reposter"),
    "clickthroughEmbed": (FeedbackAction.ENGAGE, "open_embed"),
    "interactionLike": (FeedbackAction.ENGAGE, "like"),
    "interactionRepost": (FeedbackAction.ENGAGE, "repost"),
    "interactionReply": (FeedbackAction.ENGAGE, "reply"),
    "interactionQuote": (FeedbackAction.ENGAGE, "quote"),
    "interactionShare": (FeedbackAction.ENGAGE, "share"),
    "requestMore": (FeedbackAction.ENGAGE, "request_more"),
    "requestLess": (FeedbackAction.DISMISS, "request_less"),
}
"""The events of `app.bsky.feed.defs`, as actions and types of Harken."""


class BlueskyInteraction(BaseModel):
    """An interaction as the lexicon has it; other fields of it are ignored."""

    model_config = ConfigDict(extra="ignore")

    item: Annotated[Text, Field(max_length=LONGEST_URI, pattern="^at://")]
    event: Text = Field(description="Such as app.bsky.feed.defs#interactionLike.")
    feedContext: Annotated[Text, Field(max_length=LONGEST_CONTEXT)] | None = None  # noqa: N815
    reqId: Annotated[Text, Field(max_length=LONGEST_REQUEST)] | None = None  # noqa: N815


def event_of(given: Any, user_id: str) -> dict[str, Any]:
    """Return the fields of an event for one interaction. Raises InvalidInput."""
    if not isinstance(given, dict):
        raise InvalidInput(Problem("", "an interaction must be an object with item and event"))
    sent = parse(BlueskyInteraction, given)
    action, kind = _meaning(sent.event)
    context = {"at_uri": sent.item, "feed_context": sent.feedContext, "req_id": sent.reqId}
    return {
        "user_id": user_id,
        "kblock_id": kblock_id_of(sent.item),
        "action": action,
        "interaction_type": kind,
        "metadata": {name: value for name, value in context.items() if value is not None},
        "request_id": sent.reqId if sent.reqId and is_identifier(sent.reqId) else None,
        "interaction_id": _id_of(sent, user_id),
    }


def kblock_id_of(uri: str) -> str:
    """Return the id of an item's K-Block: its URI if that can be an id, else its SHA-256 in hex."""
    return uri if is_identifier(uri) else hashlib.sha256(uri.encode()).hexdigest()


def _meaning(event: str) -> tuple[FeedbackAction, str]:
    found = EVENTS.get(event.removeprefix(DEFINITIONS))
    if found is None:
        known = ", ".join(EVENTS)
        raise InvalidInput(
            Problem("event", f"{quoted(event)} is unknown; known are {known}, after {DEFINITIONS}")
        )
    return found


def _id_of(sent: BlueskyInteraction, user_id: str) -> str | None:
    """Return an id by which a repeat is recognised; None if nothing tells it from a new event."""
    if sent.reqId is None and sent.feedContext is None:
        return None
    event = sent.event.removeprefix(DEFINITIONS)
    parts = [user_id, sent.item, event, sent.reqId, sent.feedContext]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
