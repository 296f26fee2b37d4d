"""Reads pages with swapped pairs, and pages of trials and holdbacks, with the acts on them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind
from harken.domain.feedback import GUEST, FeedbackAction
from harken.domain.times import micros
from harken.models.types import utc_micros
from harken.services.experiments.definitions import Experiment
from harken.services.record.admission.quarantines import (
    counts,
    has_counting_reader,
    reader_counts,
)
from harken.services.record.readers import USERS
from harken.services.record.slates import EXPOSURES, SLATES
from harken.services.record.transaction import LOG
from harken.unreadable_rows import parsed

PAGE = 2_000
COUNTED = (FeedbackAction.ENGAGE, FeedbackAction.DISMISS, FeedbackAction.CONTRADICT)
EARLY = timedelta(days=1)
"""How much earlier than its page an event may say that it happened, by a client's clock."""


class PairedSlate(NamedTuple):
    """A page with swapped pairs; `at` in microseconds since 1970.

    `pairs` have the index of each pair's first item, and whether it was turned.
    """

    request_id: str
    user_id: str
    at: int
    kblock_ids: tuple[str, ...]
    pairs: Sequence[tuple[int, bool]]


class Entry(NamedTuple):
    """The first exposure of a reader; `at` in microseconds since 1970."""

    user_id: str
    arm: str
    at: int
    is_personalized: bool
    is_quarantined: bool = False


class ShownPage(NamedTuple):
    """A page of an experiment; `at` in microseconds since 1970.

    `arms` says whose each item is, in an interleaving. `acts` are pairs of an item and an action;
    each counts once.
    """

    user_id: str
    at: int
    position: int
    items: Sequence[str]
    arms: Sequence[str | None]
    acts: frozenset[tuple[str, str]]

    def count(self, action: FeedbackAction, arm: str | None = None) -> int:
        """Return how many items got an action, of all or of an arm."""
        named = self.items if arm is None else self.of(arm)
        return sum((item, action.value) in self.acts for item in named)

    def of(self, arm: str) -> list[str]:
        """Return the items of an arm."""
        return [item for item, own in zip(self.items, self.arms, strict=False) if own == arm]


class ExperimentLog(NamedTuple):
    """The exposed readers of an experiment, without testers and guests, and their pages by time."""

    entries: Sequence[Entry]
    pages: Sequence[ShownPage]


class ReaderLog:
    """Reads the log and the slates of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def paired(self, since: datetime, most: int) -> list[PairedSlate]:
        """Return pages with swapped pairs since a time, the latest last, at most the latest `most`.

        Readers who switched personalisation off or are in quarantine are left out, and pages from
        before a reader reset their profile. Raises DatabaseUnavailable.
        """
        columns = SLATES.c
        withheld = select(USERS.c.user_id).where(
            USERS.c.user_id == columns.user_id,
            or_(not_(USERS.c.personalized), USERS.c.profile_since > columns.created_at),
        )
        wanted = (
            select(
                columns.request_id, columns.user_id, utc_micros(columns.created_at),
                columns["items"], columns.settings,
            )
            .where(
                columns.created_at >= since, columns.propensities.is_not(None),
                columns.experiment_id.is_(None), columns.user_id != GUEST,
                columns.settings.contains('"pairs": [['), not_(withheld.exists()),
                has_counting_reader(SLATES),
            )
            .order_by(columns.created_at.desc(), columns.request_id.desc())
        )  # fmt: skip
        async with self._database.reading_anywhere(Kind.BULK_READ) as connection:
            rows = (await connection.execute(wanted.limit(most))).all()
        found = (_paired(*row) for row in reversed(rows))
        return [each for each in found if each is not None]

    async def of_experiment(self, experiment: Experiment) -> ExperimentLog:
        """Return who came into an experiment, and what they did, readers in quarantine included.

        Raises DatabaseUnavailable.
        """
        async with self._database.reading_anywhere(Kind.BULK_READ) as connection:
            entries = await _entries(connection, experiment)
            acts = await _acts(connection, experiment)
            pages = await _pages(connection, experiment, acts)
        return ExperimentLog(entries, pages)

    async def arms_of(self, experiment: Experiment) -> list[tuple[str, int | None]]:
        """Return the arms of an experiment's readers and guests, in the order of their exposure.

        Each is with the version of the allocation, if that is adaptive. Raises DatabaseUnavailable.
        """
        columns = EXPOSURES.c
        wanted = select(columns.arm, columns.allocation_version).where(
            columns.experiment_id == experiment.id,
            columns.experiment_version == experiment.version,
            columns.is_forced.is_(False),
        )
        ordered = wanted.order_by(columns.created_at, columns.user_id, columns.guest_session)
        async with self._database.reading_anywhere(Kind.BULK_READ) as connection:
            return [(str(row[0]), row[1]) for row in await connection.execute(ordered)]

    async def readers_by_day(
        self, feeds: Sequence[str], since: datetime, until: datetime
    ) -> list[int]:
        """Return how many distinct readers had engaged or dismissed by the end of each day.

        These are named readers, on pages of these feeds from `since` on. Raises
        DatabaseUnavailable.
        """
        first = (
            select(func.min(utc_micros(SLATES.c.created_at)))
            .join(LOG, LOG.c.request_id == SLATES.c.request_id)
            .where(
                SLATES.c.feed.in_(feeds), SLATES.c.created_at >= since, SLATES.c.user_id != GUEST,
                LOG.c.created_at >= since - EARLY, LOG.c.user_id == SLATES.c.user_id,
                LOG.c.action.in_([FeedbackAction.ENGAGE.value, FeedbackAction.DISMISS.value]),
                counts(LOG),
            )
            .group_by(SLATES.c.user_id)
        )  # fmt: skip
        async with self._database.reading_anywhere(Kind.BULK_READ) as connection:
            begins = [int(row[0]) for row in await connection.execute(first)]
        days = max(1, -(-(until - since) // timedelta(days=1)))
        start, day = micros(since), timedelta(days=1) / timedelta(microseconds=1)
        came = [0] * days
        for at in begins:
            came[min(max(int((at - start) // day), 0), days - 1)] += 1
        return [sum(came[: each + 1]) for each in range(days)]


def _paired(
    request_id: str, user_id: str, at: int | None, items: str, settings: str
) -> PairedSlate | None:
    """Return a page with its pairs; None if its row cannot be read."""
    shown, kept = parsed(items, list), parsed(settings, dict)
    if at is None or shown is None or kept is None:
        return None
    pairs = [(int(place), bool(turned)) for place, turned in kept.get("pairs", ())]
    return PairedSlate(request_id, user_id, at, tuple(shown), pairs)


def _of(columns: Any, experiment: Experiment) -> Any:
    return and_(
        columns.experiment_id == experiment.id,
        columns.experiment_version == experiment.version,
        columns.user_id != GUEST,
    )


async def _entries(connection: AsyncConnection, experiment: Experiment) -> list[Entry]:
    columns = EXPOSURES.c
    wanted: Select[Any] = (
        select(
            columns.user_id,
            columns.arm,
            utc_micros(columns.created_at),
            columns.is_personalized,
            not_(reader_counts(EXPOSURES)),
        )
        .where(_of(columns, experiment), columns.is_forced.is_(False))
        .order_by(columns.created_at, columns.user_id)
    )
    rows = await connection.execute(wanted)
    return [Entry(*row) for row in rows if row[2] is not None]


async def _acts(
    connection: AsyncConnection, experiment: Experiment
) -> dict[str, set[tuple[str, str]]]:
    """Return the items that each page's own reader did something with, and what.

    Acts that are set aside do not count, but for those of readers in quarantine: results are given
    with and without these readers.
    """
    wanted: Select[Any] = (
        select(LOG.c.request_id, LOG.c.kblock_id, LOG.c.action)
        .join(SLATES, LOG.c.request_id == SLATES.c.request_id)
        .where(
            _of(SLATES.c, experiment), LOG.c.user_id == SLATES.c.user_id,
            LOG.c.action.in_([each.value for each in COUNTED]),
            or_(counts(LOG), not_(reader_counts(SLATES))),
            LOG.c.created_at >= (experiment.started_at or experiment.created_at) - EARLY,
        )
    )  # fmt: skip
    found: dict[str, set[tuple[str, str]]] = {}
    rows = await connection.stream(wanted)
    async for page in rows.partitions(PAGE):
        for request_id, kblock_id, action in page:
            found.setdefault(request_id, set()).add((kblock_id, action))
    return found


async def _pages(
    connection: AsyncConnection,
    experiment: Experiment,
    acts: Mapping[str, set[tuple[str, str]]],
) -> list[ShownPage]:
    columns, found = SLATES.c, []
    wanted: Select[Any] = (
        select(
            columns.request_id, columns.user_id, utc_micros(columns.created_at), columns.position,
            columns["items"], columns.settings,
        )
        .where(_of(columns, experiment))
        .order_by(columns.created_at, columns.request_id)
    )  # fmt: skip
    rows = await connection.stream(wanted)
    async for page in rows.partitions(PAGE):
        for request_id, user_id, at, position, items, settings in page:
            shown, kept = parsed(items, list), parsed(settings, dict)
            if at is None or shown is None or kept is None:
                continue
            own = frozenset(acts.get(request_id, ()))
            found.append(ShownPage(user_id, at, position, shown, kept.get("arms", ()), own))
    return found
