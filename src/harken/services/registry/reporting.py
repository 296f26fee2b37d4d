"""The report, which says whether the feed is getting better.

log, slates ──▶ weekly             counts by reader, week and ranking; resampled
promotions  ──▶ models_in_service  the periods in service of each model; a replay of the log
            ──▶ verdict            one sentence
            ──▶ a dictionary, which is stored, printed and returned by the API
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from harken.domain.times import from_micros, micros
from harken.domain.weeks import SLACK, WEEK, week_of
from harken.errors import InvalidInput, InvalidModel, MissingExtra, NotFound, Problem
from harken.services.evaluation.models_in_service import (
    FEW,
    EvaluationPeriod,
    PeriodMetrics,
    Promotion,
    measure,
    service_periods,
)
from harken.services.evaluation.replay import Progress
from harken.services.evaluation.verdict import Week, weekly_verdict
from harken.services.evaluation.weekly import Tally
from harken.services.learning.ranker import Model
from harken.services.learning.training_plan import TrainingData
from harken.services.registry.registry import Registry
from harken.services.registry.report_store import MarkedModel
from harken.services.registry.store import StoredPromotion
from harken.services.registry.training_data import TrainingRange

WEEKS = 12
MOST_WEEKS = 104

_NO_SLATES = TrainingRange(measured=timedelta(), learned=timedelta(), most=0)
_LAST = 1
"""Microseconds to add, so that a held-out period includes the log's last event."""


@dataclass(frozen=True)
class ModelPeriods:
    """A model's periods in service and its held-out period; or why it has none."""

    model_id: str
    in_service: list[EvaluationPeriod]
    held_out: EvaluationPeriod | None = None
    problem: str | None = None


@dataclass(frozen=True)
class ReportInputs:
    """The data for a report, read from the database."""

    weeks: list[Week]
    tally: Tally
    periods: list[ModelPeriods] = field(default_factory=list)
    models: dict[str, Model] = field(default_factory=dict)
    log: TrainingData = field(default_factory=lambda: TrainingData([]))
    begun: datetime | None = None
    """The begin of a log that continues and has no other weeks; else None."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many events, readers and sessions are in quarantine, and count nowhere here."""
    marked: Sequence[MarkedModel] = ()
    """Models that may have been trained with what was erased or set aside since."""


async def read_report_inputs(
    registry: Registry, now: datetime, since: datetime | None = None, weeks: int | None = None
) -> ReportInputs:
    """Read the data for a report of the last `weeks` weeks, or of the weeks from `since` on.

    The last week is that of the log's last event; the first one contains `since`. Raises
    InvalidInput for an invalid range, or DatabaseUnavailable.
    """
    extent = await registry.reports.event_range()
    wanted = _weeks(extent, now, since, weeks)
    tally = Tally()
    aside = (await registry.reports.left_out())._asdict()
    marked = await registry.reports.marked(await registry.models.in_service())
    if not wanted:
        return ReportInputs([], tally, left_out=aside, marked=marked)
    async for page in registry.reports.weekly(wanted[0].begin, len(wanted)):
        for row in page:
            tally.add(row)
    begin = micros(wanted[0].begin)
    promotions = await registry.models.promotions()
    periods, models = [], {}
    for model_id, own in _by_model(promotions, begin, micros(now)).items():
        try:
            models[model_id] = await registry.models.load(model_id)
            data = (await registry.models.get(model_id)).data
            periods.append(_model_periods(model_id, own, data))
        except (InvalidModel, MissingExtra, NotFound) as error:
            periods.append(ModelPeriods(model_id, own, problem=str(error)))
    begun = _begun(extent, wanted, now)
    if not models:
        return ReportInputs(wanted, tally, periods, begun=begun, left_out=aside, marked=marked)
    log = await registry.training_data.read(_NO_SLATES)
    return ReportInputs(wanted, tally, periods, models, log, begun, aside, marked)


def make_report(
    inputs: ReportInputs, progress: Progress = lambda _done, _total: None
) -> dict[str, Any]:
    """Compute a report as JSON values. With models it replays the log, which may take minutes."""
    weekly = inputs.tally.drawn()
    windows = [period for each in inputs.periods for period in _periods(each)]
    measured = measure(
        inputs.log.events, inputs.models, windows, progress=progress,
        descriptions=inputs.log.descriptions, affinities=inputs.log.affinities,
    )  # fmt: skip
    shown = _shown(inputs.periods, measured)
    known = [each for each in shown if isinstance(each, PeriodMetrics)]
    rankings = [
        _named(week) | {"ranking": name} | counted.as_json()
        for week in inputs.weeks
        for name, counted in weekly.rankings(week.number).items()
    ]
    return {
        "answer": weekly_verdict(inputs.weeks, weekly, known, inputs.begun).as_json(),
        "weeks": [
            _named(week) | {"is_partial": week.is_partial} | weekly.week(week.number).as_json()
            for week in inputs.weeks
        ],
        "rankings": rankings,
        "models": [_model(each) for each in shown],
        "left_out": dict(inputs.left_out),
        "trained_with_erased": _marked(inputs.marked, "erasures"),
        "trained_with_quarantined": _marked(inputs.marked, "quarantines"),
    }


async def write_report(registry: Registry, now: datetime, code_version: str) -> None:
    """Make a report of the last weeks and store it. Raises DatabaseUnavailable."""
    inputs = await read_report_inputs(registry, now)
    made = await asyncio.to_thread(make_report, inputs)
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
            Problem(
                "since", f"must be at most {MOST_WEEKS} weeks before the last event; it is {count}"
            )
        )
    begins = [begin + n * WEEK for n in range(count)]
    return [Week(n, at, _is_partial(at, first, last, now)) for n, at in enumerate(begins)]


def _is_partial(begin: datetime, first: datetime, last: datetime, now: datetime) -> bool:
    """Whether the log covers only a part of a week; a day without events is tolerated."""
    end = begin + WEEK
    return first > begin + SLACK or last < end - SLACK or now < end


def _begun(
    extent: tuple[datetime, datetime] | None, weeks: Sequence[Week], now: datetime
) -> datetime | None:
    """Return the log's begin if it continues and has no week before these; else None."""
    if extent is None:
        return None
    first, last = extent
    return first if weeks[0].begin == week_of(first) and now - last < WEEK else None


def _named(week: Week) -> dict[str, Any]:
    return {"week": week.name, "begin": _utc(week.begin), "end": _utc(week.begin + WEEK)}


# Models


def _by_model(
    promotions: Sequence[StoredPromotion], begin: int, now: int
) -> dict[str, list[EvaluationPeriod]]:
    """Return the periods in service of each model, from a report's begin on."""
    stack = [
        Promotion(
            each.model_id,
            micros(each.promoted_at),
            None if each.rolled_back_at is None else micros(each.rolled_back_at),
        )
        for each in promotions
    ]
    found: dict[str, list[EvaluationPeriod]] = {}
    # Promotions have the database's time, which may be ahead of this clock.
    now = max([now, *(each.promoted_at + 1 for each in stack)])
    for period in service_periods(stack, now):
        if period.end > begin:
            clipped = period._replace(begin=max(period.begin, begin))
            found.setdefault(period.model_id, []).append(clipped)
    return found


def _model_periods(
    model_id: str, own: list[EvaluationPeriod], data: dict[str, Any]
) -> ModelPeriods:
    """Return the periods to measure a model in: none overlaps its training data."""
    try:
        data = {"measured_from": data["until"], **data}
        since, until = (micros(_parsed(data[f"measured_{name}"])) for name in ("from", "until"))
    except (KeyError, TypeError, ValueError):
        raise InvalidModel(
            f"model {model_id}", "does not say on which period it was trained"
        ) from None
    clipped = [period._replace(begin=max(period.begin, since)) for period in own]
    kept = [period for period in clipped if period.begin < period.end]
    held_out = EvaluationPeriod(model_id, since, until + _LAST, "held_out")
    return ModelPeriods(model_id, kept, held_out)


def _periods(periods: ModelPeriods) -> list[EvaluationPeriod]:
    if periods.problem is not None:
        return []
    return periods.in_service + ([periods.held_out] if periods.held_out else [])


def _shown(
    periods: Sequence[ModelPeriods], measured: Sequence[PeriodMetrics]
) -> list[PeriodMetrics | ModelPeriods]:
    """Select the results of each model to report, in the order of their promotions.

    The held-out result is included if a model has few impressions in service.
    """
    by_period = {each.period: each for each in measured}
    shown: list[PeriodMetrics | ModelPeriods] = []
    for each in periods:
        if each.problem is not None:
            shown.append(each)
            continue
        found = [by_period[period] for period in each.in_service]
        found = [one for one in found if one.impressions]
        if each.held_out and not any(one.impressions >= FEW for one in found):
            found.append(by_period[each.held_out])
        shown += found
    return shown


def _model(result: PeriodMetrics | ModelPeriods) -> dict[str, Any]:
    if isinstance(result, ModelPeriods):
        return _model_of(result.model_id, None, result.in_service) | {"problem": result.problem}
    return _model_of(result.period.model_id, result.period.basis, [result.period]) | {
        "impressions": result.impressions,
        "measurable": result.measurable,
        "readers": result.readers,
        "rankings": {
            name: {metric: round(value, 6) for metric, value in each.items()}
            for name, each in result.values.items()
        },
        "differences": [
            {
                "than": each.than,
                "metric": each.metric,
                "difference": round(each.difference, 6),
                "low": each.interval and round(each.interval.low, 6),
                "high": each.interval and round(each.interval.high, 6),
            }
            for each in result.differences
        ],
    }


def _marked(models: Sequence[MarkedModel], by: str) -> list[dict[str, Any]]:
    """Return models with a mark, how many acts set it, and which one is in service."""
    return [
        {"model_id": each.model_id, by: count, "in_service": each.in_service}
        for each in models
        if (count := each._asdict()[by])
    ]


def _model_of(model_id: str, basis: str | None, own: Sequence[EvaluationPeriod]) -> dict[str, Any]:
    end = own[-1].end - (_LAST if basis == "held_out" else 0)
    return {
        "model_id": model_id,
        "basis": basis,
        "from": _utc(from_micros(own[0].begin)),
        "until": _utc(from_micros(end)),
        "impressions": 0,
        "measurable": 0,
        "readers": 0,
        "rankings": {},
        "differences": [],
        "problem": None,
    }


# Times


def _parsed(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
