"""Counts of what each reader of an experiment did, from the log and the slates.

Events join by the page that they name (`request_id`), if the experiment served it. Events that name
no page, or one that is not kept any more, join by their reader, within the reader's window. Events
on other pages, such as those of a ranking that was asked for, do not count.

`before` is what a reader did in the days before their first exposure, whatever page it was on: the
covariate that makes intervals narrower.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind
from harken.domain.feedback import FeedbackAction
from harken.models.types import utc_micros
from harken.services.experiments.definitions import Experiment
from harken.services.experiments.metrics import RETURN_DAYS
from harken.services.record.admission.quarantines import QUARANTINES, Target, counts
from harken.services.record.slates import EXPOSURES, SLATES
from harken.services.record.transaction import LOG
from harken.unreadable_rows import parsed

BEFORE_DAYS = 14
DAY = 86_400_000_000
"""Microseconds."""
PAGE = 1_000

Floats = NDArray[np.float64]

ACTIONS = {
    FeedbackAction.ENGAGE.value: "engagements",
    FeedbackAction.VIEW.value: "views",
    FeedbackAction.DISMISS.value: "dismissals",
    FeedbackAction.CONTRADICT.value: "contradictions",
}
COUNTS = (*ACTIONS.values(), "dwell", "timed", "slates", "returned")
"""The counts of a reader. `dwell` is the sum in seconds over `timed` views; `returned` is 1 for a
reader who came back."""
CREDITED = ("engaged", "dismissed")
"""The acts that are credited in an interleaving."""


class Observations(NamedTuple):
    """The units of an experiment, and what each did; arrays have the shape units.

    arms: names by unit. exposed_at: seconds since 1970.
    within, before: by the names of `COUNTS`. was_there: whether there are events from before.
    joined: how many events joined by their page, by their reader, and how many are of other pages.
    allocations: the version of an adaptive allocation at each unit's exposure, else None.
    credits: for an interleaving, counts by (what was done, arm); else empty.
    is_quarantined: whether a rule sets the unit aside. Its events are counted all the same, so that
    results can be given with and without it; other events that are set aside are not.
    testers: units in forced arms, which are left out of all arrays.
    """

    user_ids: Sequence[str]
    arms: Sequence[str]
    allocations: Sequence[int | None]
    exposed_at: Floats
    is_personalized: NDArray[np.bool_]
    is_quarantined: NDArray[np.bool_]
    within: Mapping[str, Floats]
    before: Mapping[str, Floats]
    was_there: NDArray[np.bool_]
    joined: Mapping[str, int]
    credits: Mapping[tuple[str, str], Floats]
    testers: int


class ObservationStore:
    """Reads the observations of experiments in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, experiment: Experiment) -> Observations:
        """Return what is known of all units, from one snapshot. Raises DatabaseUnavailable."""
        async with self._database.reading_anywhere(Kind.BULK_READ) as connection:
            counting = _Counting(experiment, await _units(connection, experiment))
            await counting.events(connection)
            await counting.slates(connection)
            if experiment.definition.kind == "interleaving":
                await counting.credit(connection)
            return counting.observations(await _testers(connection, experiment))


def _of(experiment: Experiment) -> ColumnElement[bool]:
    return and_(
        EXPOSURES.c.experiment_id == experiment.id,
        EXPOSURES.c.experiment_version == experiment.version,
    )


async def _units(connection: AsyncConnection, experiment: Experiment) -> list[Any]:
    columns = EXPOSURES.c
    wanted = select(
        columns.user_id, columns.guest_session, columns.arm, columns.is_personalized,
        columns.allocation_version,
        utc_micros(columns.created_at).label("at"), _is_quarantined().label("is_quarantined"),
    ).where(_of(experiment), columns.is_forced.is_(False))  # fmt: skip
    ordered = wanted.order_by(columns.created_at, columns.user_id, columns.guest_session)
    return [row for row in (await connection.execute(ordered)).all() if row.at is not None]


async def _testers(connection: AsyncConnection, experiment: Experiment) -> int:
    counted = select(func.count()).where(_of(experiment), EXPOSURES.c.is_forced.is_(True))
    return int((await connection.execute(counted)).scalar_one())


def _is_quarantined() -> ColumnElement[bool]:
    """Tell whether a rule names the unit of an exposure."""
    columns, rules = EXPOSURES.c, QUARANTINES.c
    is_reader = and_(rules.target == Target.READER.value, rules.subject_id == columns.user_id)
    is_session = and_(
        rules.target == Target.SESSION.value, rules.subject_id == columns.guest_session
    )
    return exists().where(or_(is_reader, is_session)).correlate(EXPOSURES)


def comes_back(since: ColumnElement[int]) -> ColumnElement[bool]:
    """Tell whether something happened in the days in which a reader counts as returned.

    `since` are the microseconds from the reader's first page to it.
    """
    return and_(since >= DAY, since < (RETURN_DAYS + 1) * DAY)


def count_acts(dwell_time_ms: ColumnElement[int]) -> tuple[ColumnElement[int], ...]:
    """Return the columns that count the events of a group, as `add_acts` takes them."""
    return (
        func.count().label("events"),
        func.coalesce(func.sum(dwell_time_ms), 0).label("dwell"),
        func.count(dwell_time_ms).label("timed"),
    )


def add_acts(counts_: Mapping[str, Floats], place: int, row: Any) -> None:
    """Add a row of counted events to the counts of the unit at a place.

    The row has `action`, and the columns of `count_acts`; `dwell` is in milliseconds.
    """
    if (name := ACTIONS.get(row.action)) is not None:
        counts_[name][place] += row.events
    if row.action == FeedbackAction.VIEW.value:
        counts_["dwell"][place] += float(row.dwell) / 1_000
        counts_["timed"][place] += row.timed


def have_acts(counts_: Mapping[str, Floats]) -> NDArray[np.bool_]:
    """Return which units have at least one event; the shape is units."""
    return np.asarray(np.sum([counts_[name] for name in ACTIONS.values()], axis=0) > 0, np.bool_)


def _same_unit(user_id: Any, session_id: Any) -> ColumnElement[bool]:
    """Tell whether an event or a slate is of the unit of an exposure."""
    columns = EXPOSURES.c
    is_reader = columns.guest_session == ""
    return and_(user_id == columns.user_id, or_(is_reader, session_id == columns.guest_session))


class _Counting:
    """Counts by unit."""

    def __init__(self, experiment: Experiment, units: list[Any]) -> None:
        self._experiment = experiment
        self._units = units
        self._places = {(row.user_id, row.guest_session): n for n, row in enumerate(units)}
        self._within = {name: np.zeros(len(units)) for name in COUNTS}
        self._before = {name: np.zeros(len(units)) for name in COUNTS}
        self._credits: dict[tuple[str, str], Floats] = {}
        self._joined = {"by_request": 0, "by_reader": 0, "elsewhere": 0}

    async def events(self, connection: AsyncConnection) -> None:
        columns, slates = EXPOSURES.c, SLATES.c
        since = utc_micros(LOG.c.created_at) - utc_micros(columns.created_at)
        is_before = since < 0
        is_own = self._is_own(slates)
        how = case(
            (is_before, "before"),
            (slates.request_id.is_(None), "by_reader"),
            (is_own, "by_request"),
            else_="elsewhere",
        ).label("how")
        keys = columns.user_id, columns.guest_session, how, LOG.c.action
        counted = (
            select(
                *keys,
                *count_acts(LOG.c.dwell_time_ms),
                func.max(case((comes_back(since), 1), else_=0)).label("returned"),
            )
            .select_from(EXPOSURES)
            .join(LOG, _same_unit(LOG.c.user_id, LOG.c.session_id))
            .outerjoin(SLATES, slates.request_id == LOG.c.request_id)
            .where(
                _of(self._experiment),
                columns.is_forced.is_(False),
                or_(counts(LOG), _is_quarantined()),
                since >= -BEFORE_DAYS * DAY,
                since < self._experiment.definition.window_days * DAY,
            )
            .group_by(*keys)
        )
        await self._read(connection, counted, self._add_events)

    def _is_own(self, slates: Any) -> ColumnElement[bool]:
        """Tell whether a slate is one that the experiment served; a flag serves none, so any is."""
        if self._experiment.definition.is_flag:
            return true()
        return and_(
            slates.experiment_id == self._experiment.id,
            slates.experiment_version == self._experiment.version,
        )

    async def _read(self, connection: AsyncConnection, wanted: Select[Any], add: Any) -> None:
        rows = await connection.stream(wanted)
        async for page in rows.partitions(PAGE):
            for row in page:
                place = self._places.get((row.user_id, row.guest_session))
                if place is not None:
                    add(place, row)

    def _add_events(self, place: int, row: Any) -> None:
        if row.how != "before":
            self._joined[row.how] += row.events
        if row.how == "elsewhere":
            return
        own = self._before if row.how == "before" else self._within
        add_acts(own, place, row)
        own["returned"][place] = max(own["returned"][place], float(row.returned))

    async def slates(self, connection: AsyncConnection) -> None:
        columns, slates = EXPOSURES.c, SLATES.c
        # The slate of an exposure has the same time, by the server's clock: none is before it.
        since = utc_micros(slates.created_at) - utc_micros(columns.created_at)
        keys = columns.user_id, columns.guest_session
        counted = (
            select(
                *keys,
                func.count().label("slates"),
                func.max(case((comes_back(since), 1), else_=0)).label("returned"),
            )
            .select_from(EXPOSURES)
            .join(SLATES, _same_unit(slates.user_id, slates.session_id))
            .where(
                _of(self._experiment),
                columns.is_forced.is_(False),
                self._is_own(slates),
                since >= 0,
                since < self._experiment.definition.window_days * DAY,
            )
            .group_by(*keys)
        )
        await self._read(connection, counted, self._add_slates)

    def _add_slates(self, place: int, row: Any) -> None:
        self._within["slates"][place] += row.slates
        returned = self._within["returned"]
        returned[place] = max(returned[place], float(row.returned))

    async def credit(self, connection: AsyncConnection) -> None:
        """Count the acts on items that one side alone named, by side."""
        for arm in self._experiment.definition.arms:
            for what in CREDITED:
                self._credits[what, arm.name] = np.zeros(len(self._units))
        columns, slates = EXPOSURES.c, SLATES.c
        since = utc_micros(LOG.c.created_at) - utc_micros(columns.created_at)
        acts = FeedbackAction.ENGAGE.value, FeedbackAction.DISMISS.value
        wanted = (
            select(
                columns.user_id, columns.guest_session, LOG.c.kblock_id, LOG.c.action,
                slates["items"].label("shown"), slates.settings,
            )
            .select_from(EXPOSURES)
            .join(LOG, _same_unit(LOG.c.user_id, LOG.c.session_id))
            .join(SLATES, slates.request_id == LOG.c.request_id)
            .where(
                _of(self._experiment),
                columns.is_forced.is_(False),
                self._is_own(slates),
                LOG.c.action.in_(acts),
                or_(counts(LOG), _is_quarantined()),
                since < self._experiment.definition.window_days * DAY,
            )
        )  # fmt: skip
        await self._read(connection, wanted, self._add_credit)

    def _add_credit(self, place: int, row: Any) -> None:
        shown, settings = parsed(row.shown, list), parsed(row.settings, dict)
        arms = (settings or {}).get("arms") or []
        whose = dict(zip(shown or [], arms, strict=False)).get(row.kblock_id)
        what = "engaged" if row.action == FeedbackAction.ENGAGE.value else "dismissed"
        if (own := self._credits.get((what, str(whose)))) is not None:
            own[place] += 1

    def observations(self, testers: int) -> Observations:
        units = self._units
        return Observations(
            user_ids=[row.user_id for row in units],
            arms=[row.arm for row in units],
            allocations=[row.allocation_version for row in units],
            exposed_at=np.array([row.at for row in units], np.float64) / 1e6,
            is_personalized=np.array([row.is_personalized for row in units], np.bool_),
            is_quarantined=np.array([row.is_quarantined for row in units], np.bool_),
            within=self._within,
            before=self._before,
            was_there=have_acts(self._before),
            joined=self._joined,
            credits=self._credits,
            testers=testers,
        )
