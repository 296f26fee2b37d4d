"""JSON forms of what the services return; REST and the command line share them.

Each function returns a dict that a JSON encoder can write. Times are ISO 8601 in UTC, with a Z.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from harken.domain.declarations import OPERATORS, declaration
from harken.domain.durations import write_duration
from harken.domain.exploration import (
    EXPLORATIONS,
    LEAST_TEMPERATURE,
    MOST_PER_LABEL,
    MOST_TEMPERATURE,
)
from harken.domain.feeds import DEFAULT_FEEDS, RANKINGS, RECENCY_HALF_LIFE, Source
from harken.domain.slates import CURSOR_LIFETIME, Contribution, FeedPage, Item
from harken.domain.times import iso_utc
from harken.services.feed.learned_ranking import PARTS_IN_WORDS
from harken.services.feed.request import MOST_ITEMS
from harken.services.feed.service import MOST_CANDIDATES
from harken.services.kblocks.attachments import split
from harken.services.readers.score_parts import PARTS

if TYPE_CHECKING:  # a page of a feed is written before the rest is imported
    from harken.services.access.keys import StoredKey
    from harken.services.feed.candidate_ranking import Ranked
    from harken.services.feed.declarations import Listed
    from harken.services.feed.search.request import SearchPage
    from harken.services.feed.service import FeedService
    from harken.services.feed.similar import SimilarItems
    from harken.services.integrity.alerts.alert_store import StoredAlert
    from harken.services.integrity.alerts.schedule import DetectionStatus
    from harken.services.integrity.quarantine.acts import Outcome
    from harken.services.integrity.quarantine.audit import Entry, InForce
    from harken.services.integrity.receipts import Receipt
    from harken.services.kblocks.store import StoredKBlock
    from harken.services.personal.interests import ReaderInterests
    from harken.services.record.comments.store import CommentPage
    from harken.services.record.reading.store import States
    from harken.services.registry.report_store import StoredReport
    from harken.services.registry.retraining import Status
    from harken.services.registry.store import StoredModel

NO_EXPERIMENT = (
    "Weeks differ in their readers, K-Blocks and seasons, not only in how they were ranked. "
    "Whether the ranking is the cause, only an experiment tells."
)


def page(found: FeedPage, states: "States | None" = None) -> dict[str, Any]:
    """Return the JSON form of a page of a feed; with `states`, of each item's state, too."""
    return {"items": [_item(item, states) for item in found.items]} | _about(found)


def page_as_json(found: FeedPage, states: "States | None", more: dict[str, str]) -> bytes:
    """Return the JSON of `page` with some more fields, from the JSON that K-Blocks have already."""
    items = (item.kblock.as_json[:-1] + b"," + to_json(_place(item, states))[1:]
             for item in found.items)  # fmt: skip
    return b'{"items":[' + b",".join(items) + b"]," + to_json(_about(found) | more)[1:]


def _about(found: FeedPage) -> dict[str, Any]:
    content: dict[str, Any] = {
        "total": found.total,
        "has_more": found.has_more,
        "offset": found.offset,
        "limit": found.limit,
        "next_cursor": found.next_cursor,
        "request_id": found.request_id,
    }
    if found.candidates is not None:
        content["candidates"] = found.candidates
    if found.personalization is not None:
        content["personalization"] = found.personalization
    if (trial := found.trial) is not None:
        names = {"id": trial.experiment_id, "version": trial.version, "arm": trial.arm}
        content["experiment"] = names
    return content | _made_by(found)


def _made_by(found: "FeedPage | Ranked") -> dict[str, Any]:
    """Return the model that made a learned order, or why the personal order replaced it."""
    fields = {"model": found.model, "fallback": found.fallback}
    return {name: value for name, value in fields.items() if value is not None}


def _item(item: Item, states: "States | None" = None) -> dict[str, Any]:
    return item.kblock.fields | _place(item, states)


def _place(item: Item, states: "States | None" = None) -> dict[str, Any]:
    """Return the fields of an item beside those of its K-Block."""
    content: dict[str, Any] = {
        "attention_score": item.attention_score,
        "score": item.score,
        "position": item.position,
    }
    if item.contradicts is not None:
        content["contradicts"] = item.contradicts
    if item.propensity is not None:
        content["propensity"] = item.propensity
    if item.explanation is not None:
        content["explanation"] = _explanation(item.explanation)
    if item.reasons is not None:
        content["reasons"] = [reason._asdict() for reason in item.reasons]
    if item.close_to is not None:
        content["close_to"] = item.close_to._asdict()
    if states is not None:
        content["is_read"] = item.id in states.read
        content["is_saved"] = item.id in states.saved
    return content


def _explanation(signals: dict[str, Contribution]) -> dict[str, Any]:
    return {name: contribution._asdict() for name, contribution in signals.items()}


def ranked(found: "Ranked", *, explain: bool) -> dict[str, Any]:
    """Return the JSON form of ranked candidates; with `explain`, each has its explanation."""
    items = []
    rows = zip(found.kblock_ids, found.attention_scores, found.explained, strict=True)
    for position, (kblock_id, attention, signals) in enumerate(rows):
        item: dict[str, Any] = {
            "id": kblock_id,
            "attention_score": attention,
            "score": sum(each.contribution for each in signals.values()),
            "position": position,
        }
        if found.propensities is not None:
            item["propensity"] = found.propensities[position]
        if explain:
            item["explanation"] = _explanation(signals)
        items.append(item)
    return {
        "items": items,
        "total": len(items),
        "unknown": found.unknown,
        "dismissed": found.dismissed,
        "muted": found.muted,
        "request_id": found.request_id,
        **_made_by(found),
    }


def similar(found: "SimilarItems") -> dict[str, Any]:
    """Return the JSON form of the K-Blocks that are similar to one."""
    return {
        "kblock_id": found.kblock_id,
        "items": [_item(item) for item in found.items],
        "request_id": found.request_id,
    }


def found(page: "SearchPage") -> dict[str, Any]:
    """Return the JSON form of a page of a search."""
    return {
        "understood": page.understood,
        "items": [
            _item(each.item)
            | {"match": {"fields": each.fields, "title": each.title, "snippet": each.snippet}}
            for each in page.items
        ],
        "total": page.total,
        "total_is_exact": page.total_is_exact,
        "hidden": page.hidden,
        "has_more": page.has_more,
        "offset": page.offset,
        "limit": page.limit,
        "next_cursor": page.next_cursor,
    }


def stored_kblock(stored: "StoredKBlock") -> dict[str, Any]:
    """Return the JSON form of a stored K-Block, with its content."""
    # Not validated again: an earlier version may have accepted what is now refused.
    return stored.kblock.model_dump() | {
        "preview": stored.preview,
        "attachments": [each._asdict() for each in split(stored.kblock.content)[1]],
        "contradicts": stored.contradicts,
        "source": None if stored.source is None else stored.source._asdict(),
        "updated_at": stored.updated_at,
    }


def comments(found: "CommentPage") -> dict[str, Any]:
    """Return the JSON form of the comments on a K-Block."""
    return {
        "comments": [each._asdict() for each in found.comments],
        "total": found.total,
        "next_offset": found.next_offset,
    }


def interests(found: "ReaderInterests") -> dict[str, Any]:
    """Return the JSON form of a reader's interests; similar readers are counted, not named."""
    profile = found.profile
    kinds = {
        "tags": profile.tags, "authors": profile.authors, "principles": profile.principles,
        "layers": profile.layers,
    }  # fmt: skip
    return {
        "summary": found.summary,
        "personalized": found.personalized,
        "since": None if found.since is None else iso_utc(found.since),
        "interactions": profile.interactions,
        "affinities": {
            kind: dict(sorted(((str(k), v) for k, v in known.items()), key=lambda each: -each[1]))
            for kind, known in kinds.items()
        },
        "interests": [each._asdict() for each in found.interests],
        "similar_readers": len(profile.neighbours),
        "pace": profile.pace,
        "typical_dwell_seconds": profile.typical_dwell,
    }


def feed(listed: "Listed") -> dict[str, Any]:
    """Return the JSON form of a feed and its declaration."""
    known = {"created_at": listed.created_at, "updated_at": listed.updated_at}
    times = {name: iso_utc(at) for name, at in known.items() if at is not None}
    return {"id": listed.feed.name, "origin": listed.origin, **declaration(listed.feed), **times}


def config(service: "FeedService", half_lives: Sequence[timedelta]) -> dict[str, Any]:
    """Return the available feeds, rankings, signals and limits.

    `half_lives` are those for which the database keeps decayed counts.
    """
    affinities = service.profiles.settings
    return {
        "feeds": [{"name": each.name, **declaration(each)} for each in DEFAULT_FEEDS.values()],
        "rankings": [
            {
                "name": each.name,
                "description": each.description,
                "weights": dict(service.weights if each.weights is None else each.weights),
            }
            for each in RANKINGS.values()
        ],
        "declarations": {
            "sources": [source.value for source in Source],
            "filters": {
                field.value: [operator.value for operator in operators]
                for field, operators in OPERATORS.items()
            },
        },
        "weights": dict(service.weights),
        "trending": {
            "half_lives": [write_duration(each) for each in half_lives],
            "weights": service.trend_weights._asdict(),
        },
        "personal": {
            "weights": {**PARTS, **affinities.weights},
            "min_interactions": affinities.min_interactions,
        },
        "learned": {"parts": dict(PARTS_IN_WORDS)},
        "recency_half_life_days": RECENCY_HALF_LIFE.total_seconds() / 86_400,
        "cursor_lifetime_seconds": int(CURSOR_LIFETIME.total_seconds()),
        "limits": {
            "items": MOST_ITEMS,
            "candidates": MOST_CANDIDATES,
            "temperature": {"least": LEAST_TEMPERATURE, "most": MOST_TEMPERATURE},
            "explore": list(EXPLORATIONS),
            "most_per_author": MOST_PER_LABEL,
            "most_per_tag": MOST_PER_LABEL,
            "most_per_source": MOST_PER_LABEL,
        },
    }


def model(found: "StoredModel") -> dict[str, Any]:
    """Return the JSON form of a model, without its trees and the parameters of its heads."""
    promoted_at = None if found.promoted_at is None else iso_utc(found.promoted_at)
    features = dict(found.features)
    if isinstance(heads := features.get("objectives"), dict):
        features["objectives"] = sorted(heads)
    return found._asdict() | {
        "created_at": iso_utc(found.created_at), "promoted_at": promoted_at, "features": features,
    }  # fmt: skip


def models(found: "Sequence[StoredModel]") -> dict[str, Any]:
    """Return the JSON form of several models, with the id of the one in service."""
    serving = next((each.id for each in found if each.in_service), None)
    return {"in_service": serving, "models": [model(each) for each in found]}


def receipt(found: "Receipt") -> dict[str, Any]:
    """Return the JSON form of the receipt of an erasure."""
    ends = {"began_at": found.began_at, "finished_at": found.finished_at}
    times = {name: None if at is None else iso_utc(at) for name, at in ends.items()}
    return {
        "receipt_id": found.receipt_id,
        "subject": found.subject.value,
        "digest": found.digest,
        **times,
        "removed": found.counts,
        "models": found.models,
        "is_compacted": found.is_compacted,
    }


def report(found: "StoredReport", weeks: int | None = None) -> dict[str, Any]:
    """Return the JSON form of a report; with `weeks`, only of that many latest weeks."""
    content = {
        "report_id": found.id,
        "created_at": iso_utc(found.created_at),
        "code_version": found.code_version,
        "no_experiment": NO_EXPERIMENT,
        "trained_with_erased": [],  # earlier versions did not report these
        "trained_with_quarantined": [],
        **found.report,
    }
    if weeks is not None:
        content["weeks"] = content["weeks"][-weeks:]
        kept = {week["week"] for week in content["weeks"]}
        content["rankings"] = [row for row in content["rankings"] if row["week"] in kept]
    return content


def alert(found: "StoredAlert") -> dict[str, Any]:
    """Return the JSON form of an alert, with its members."""
    content = found._asdict() | {"state": found.state.value, "members": list(found.members)}
    times = {
        name: None if at is None else iso_utc(at)
        for name, at in content.items()
        if name.endswith("_at")
    }
    return content | times


def alerts(found: "Sequence[StoredAlert]", total: int) -> dict[str, Any]:
    """Return the JSON form of several alerts, without their members."""
    return {"alerts": [alert(each) for each in found], "total": total}


def quarantine_outcome(found: "Outcome") -> dict[str, Any]:
    """Return the JSON form of what an act of a quarantine changed."""
    return {
        "act_id": found.act_id,
        "act": found.act.value,
        "target": found.target.value,
        "changed": list(found.changed),
        "already": {name: iso_utc(since) for name, since in found.already.items()},
        "events": found.events,
        "readers": found.readers,
        "kblocks": found.kblocks,
    }


def quarantines(found: "Sequence[InForce]") -> dict[str, Any]:
    """Return the JSON form of what is set aside."""
    rows = [row._asdict() | {"since": iso_utc(row.since)} for row in found]
    return {"quarantines": rows}


def quarantine_acts(found: "Sequence[Entry]") -> dict[str, Any]:
    """Return the JSON form of the audit of quarantines."""
    return {"acts": [row._asdict() | {"at": iso_utc(row.at)} for row in found]}


def key(found: "StoredKey") -> dict[str, Any]:
    """Return the JSON form of a key, without its secret or its hash."""
    content = found._asdict()
    del content["sha256"]
    times = {
        name: None if at is None else iso_utc(at)
        for name, at in content.items()
        if name.endswith("_at")
    }
    return content | times | {"scopes": sorted(found.scopes), "origins": list(found.origins)}


def detection(found: "DetectionStatus") -> dict[str, Any]:
    """Return the JSON form of the status of scheduled detection."""
    last = None if found.last is None else {"at": iso_utc(found.last[0]), "outcome": found.last[1]}
    return {
        "every": write_duration(found.every),
        "is_running": found.is_running,
        "last": last,
    }


def retraining(found: "Status") -> dict[str, Any]:
    """Return the JSON form of the status of scheduled retraining."""
    last = None
    if found.last is not None:
        times = {name: iso_utc(getattr(found.last, name)) for name in ("began_at", "ended_at")}
        last = times | {"outcome": found.last.outcome}
    return {
        "every": write_duration(found.every),
        "is_running": found.is_running,
        "next_at": None if found.next_at is None else iso_utc(found.next_at),
        "last": last,
    }
