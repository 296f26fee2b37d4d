"""The report, which says whether the feed is getting better.

log, slates ──▶ weekly      counts by reader, week and ranking; drawn
promotions  ──▶ in_service  which model was in service when; a walk through the log
            ──▶ answer      one sentence
            ──▶ a dictionary, as it is kept, printed and answered
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from harken.domain.weeks import SLACK, WEEK, week_of
from harken.errors import InvalidInput, InvalidModel, MissingExtra, NotFound, Problem
from harken.services.evaluation.models_in_service import (
    FEW,
    Measured,
    Promotion,
    Span,
    measure,
    spans,
)
from harken.services.evaluation.replay import Progress
from harken.services.evaluation.verdict import Week, answer
from harken.services.evaluation.weekly import Tally
from harken.services.learning.ranker import Model
from harken.services.learning.training_plan import TrainingLog
from harken.services.registry.registry import Registry
from harken.services.registry.store import StoredPromotion
from harken.services.registry.training_data import Extent

WEEKS = 12
MOST_WEEKS = 104

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_NO_SLATES = Extent(measured=timedelta(), learned=timedelta(), most=0)
_LAST = 1
"""Microseconds by which the log's last event belongs to what a model was measured on."""


@dataclass(frozen=True)
class ModelPeriods:
    """A model's spans, in service and after what it was trained on; or why it has none."""

    model_id: str
    in_service: list[Span]
    held_out: Span | None = None
    problem: str | None = None


@dataclass(frozen=True)
class ReportMaterial:
    """What a report is made of, read from the database."""

    weeks: list[Week]
    tally: Tally
    asked: list[ModelPeriods] = field(default_factory=list)
    models: dict[str, Model] = field(default_factory=dict)
    log: TrainingLog = field(default_factory=lambda: TrainingLog([]))
    begun: datetime | None = None
    """When a log began that goes on, and that has no other weeks."""


async def read_material(
    registry: Registry, now: datetime, since: datetime | None = None, weeks: int | None = None
) -> ReportMaterial:
    """Read what a report of the last `weeks`, or of those since a time, is made of.

    The last week is that of the log's last event, the first the one that `since` lies in. Raises
    InvalidInput, DatabaseUnavailable.
    """
    extent = await registry.reports.extent()
    wanted = _weeks(extent, now, since, weeks)
    tally = Tally()
    if not wanted:
        return ReportMaterial([], tally)
    async for page in registry.reports.weekly(wanted[0].begin, len(wanted)):
        for row in page:
            tally.add(row)
    begin = _micros(wanted[0].begin)
    promotions = await registry.models.promotions()
    asked, models = [], {}
    for model_id, own in _by_model(promotions, begin, _micros(now)).items():
        try:
            models[model_id] = await registry.models.load(model_id)
            data = (await registry.models.get(model_id)).data
            asked.append(_asked(model_id, own, data))
        except (InvalidModel, MissingExtra, NotFound) as error:
            asked.append(ModelPeriods(model_id, own, problem=str(error)))
    begun = _begun(extent, wanted, now)
    if not models:
        return ReportMaterial(wanted, tally, asked, begun=begun)
    log = await registry.training_data.read(_NO_SLATES)
    return ReportMaterial(wanted, tally, asked, models, log, begun)


def make_report(
    material: ReportMaterial, progress: Progress = lambda _done, _total: None
) -> dict[str, Any]:
    """Compute a report. With models it walks through the log, which takes a while."""
    weekly = material.tally.drawn()
    windows = [span for each in material.asked for span in _spans(each)]
    measured = measure(
        material.log.events, material.models, windows, progress=progress,
        descriptions=material.log.descriptions,
    )  # fmt: skip
    shown = _shown(material.asked, measured)
    known = [each for each in shown if isinstance(each, Measured)]
    rankings = [
        _named(week) | {"ranking": name} | counted.as_json()
        for week in material.weeks
        for name, counted in weekly.rankings(week.number).items()
    ]
    return {
        "answer": answer(material.weeks, weekly, known, material.begun).as_json(),
        "weeks": [
            _named(week) | {"is_partial": week.is_partial} | weekly.week(week.number).as_json()
            for week in material.weeks
        ],
        "rankings": rankings,
        "models": [_model(each) for each in shown],
    }


async def write_report(registry: Registry, now: datetime, code_version: str) -> None:
    """Make a report of the last weeks, and keep it. Raises DatabaseUnavailable."""
    material = await read_material(registry, now)
    made = await asyncio.to_thread(make_report, material)
    await registry.reports.add(made, code_version)


# Weeks


def _weeks(
    extent: tuple[datetime, datetime] | None,
    now: datetime,
    since: datetime | None,
    weeks: int | None,
) -> list[Week]:
    if since is not None and weeks is not None:
        raise InvalidInput(Problem("weeks", "give either --since or --weeks"))
    if weeks is not None and not 1 <= weeks <= MOST_WEEKS:
        raise InvalidInput(Problem("weeks", f"must be from 1 to {MOST_WEEKS}"))
    if extent is None:
        return []
    first, last = extent
    end = week_of(last)
    begin = end - ((weeks or WEEKS) - 1) * WEEK if since is None else week_of(since)
    begin = max(begin, week_of(first))
    count = (end - begin) // WEEK + 1
    if count > MOST_WEEKS:
        raise InvalidInput(
            Problem("since", f"{count} weeks are too many; at most {MOST_WEEKS} are given")
        )
    begins = [begin + n * WEEK for n in range(count)]
    return [Week(n, at, _is_partial(at, first, last, now)) for n, at in enumerate(begins)]


def _is_partial(begin: datetime, first: datetime, last: datetime, now: datetime) -> bool:
    """Whether the log has only a part of a week, give or take a day on which nobody came."""
    end = begin + WEEK
    return first > begin + SLACK or last < end - SLACK or now < end


def _begun(
    extent: tuple[datetime, datetime] | None, weeks: Sequence[Week], now: datetime
) -> datetime | None:
    """Return when the log began, if it goes on and has no week before these."""
    if extent is None:
        return None
    first, last = extent
    return first if weeks[0].begin == week_of(first) and now - last < WEEK else None


def _named(week: Week) -> dict[str, Any]:
    return {"week": week.name, "begin": _utc(week.begin), "end": _utc(week.begin + WEEK)}


# Models


def _by_model(promotions: Sequence[StoredPromotion], begin: int, now: int) -> dict[str, list[Span]]:
    """Return when each model was in service, from a report's begin on."""
    stack = [
        Promotion(
            each.model_id,
            _micros(each.promoted_at),
            None if each.rolled_back_at is None else _micros(each.rolled_back_at),
        )
        for each in promotions
    ]
    found: dict[str, list[Span]] = {}
    # By the database's clock, which may be ahead of this one.
    now = max([now, *(each.promoted_at + 1 for each in stack)])
    for span in spans(stack, now):
        if span.end > begin:
            clipped = span._replace(begin=max(span.begin, begin))
            found.setdefault(span.model_id, []).append(clipped)
    return found


def _asked(model_id: str, own: list[Span], data: dict[str, Any]) -> ModelPeriods:
    """Say what a model can be measured on: never on what it was trained on."""
    try:
        data = {"measured_from": data["until"], **data}
        since, until = (_micros(_parsed(data[f"measured_{name}"])) for name in ("from", "until"))
    except (KeyError, TypeError, ValueError):
        raise InvalidModel(f"model {model_id}", "does not say what it was trained on") from None
    clipped = [span._replace(begin=max(span.begin, since)) for span in own]
    kept = [span for span in clipped if span.begin < span.end]
    held_out = Span(model_id, since, until + _LAST, "held_out")
    return ModelPeriods(model_id, kept, held_out)


def _spans(asked: ModelPeriods) -> list[Span]:
    if asked.problem is not None:
        return []
    return asked.in_service + ([asked.held_out] if asked.held_out else [])


def _shown(
    asked: Sequence[ModelPeriods], measured: Sequence[Measured]
) -> list[Measured | ModelPeriods]:
    """Choose what to tell of each model, in the order in which they were put in service.

    What it was promoted by is told where little or nothing is known of its time in service.
    """
    by_span = {each.span: each for each in measured}
    shown: list[Measured | ModelPeriods] = []
    for each in asked:
        if each.problem is not None:
            shown.append(each)
            continue
        found = [by_span[span] for span in each.in_service]
        found = [one for one in found if one.impressions]
        if each.held_out and not any(one.impressions >= FEW for one in found):
            found.append(by_span[each.held_out])
        shown += found
    return shown


def _model(told: Measured | ModelPeriods) -> dict[str, Any]:
    if isinstance(told, ModelPeriods):
        return _model_of(told.model_id, None, told.in_service) | {"problem": told.problem}
    return _model_of(told.span.model_id, told.span.basis, [told.span]) | {
        "impressions": told.impressions,
        "measurable": told.measurable,
        "readers": told.readers,
        "rankings": {
            name: {metric: round(value, 6) for metric, value in each.items()}
            for name, each in told.values.items()
        },
        "differences": [
            {
                "than": each.than,
                "metric": each.metric,
                "difference": round(each.difference, 6),
                "low": each.interval and round(each.interval.low, 6),
                "high": each.interval and round(each.interval.high, 6),
            }
            for each in told.differences
        ],
    }


def _model_of(model_id: str, basis: str | None, own: Sequence[Span]) -> dict[str, Any]:
    end = own[-1].end - (_LAST if basis == "held_out" else 0)
    return {
        "model_id": model_id,
        "basis": basis,
        "from": _utc(_at(own[0].begin)),
        "until": _utc(_at(end)),
        "impressions": 0,
        "measurable": 0,
        "readers": 0,
        "rankings": {},
        "differences": [],
        "problem": None,
    }


# Times


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICRO


def _at(micros: int) -> datetime:
    return _EPOCH + micros * _MICRO


def _parsed(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
