"""The spans of what happens within a request: which methods they are of, and how they are made.

As OpenTelemetry's own instrumentations do, methods are wrapped when traces are turned on, and are
as they were before afterwards. Without traces nothing stands in their way.

A request that is not sampled gets no spans. Attributes are counts and names of kinds: no id of a
reader, no text, no statement, and of an error its class alone, since messages quote what was sent.
"""

import functools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanKind, Status, StatusCode, Tracer

from harken.database import Database, Kind
from harken.services.features.state import Features
from harken.services.feed.caches.catalogue import Catalogue
from harken.services.feed.caches.profiles import Profiles
from harken.services.learning.ranker import Model
from harken.services.personal.ordering import PersonalScorer
from harken.services.readers.affinities import Affinities
from harken.services.record.group_commit import GroupCommit
from harken.services.record.ledger.shown_kblocks import ShownKBlocks
from harken.services.record.readers import ReaderStore
from harken.services.record.slates import SlateLedger

EVENTS, KBLOCKS = "harken.events", "harken.kblocks"

Method = Callable[..., Any]


class Traced(NamedTuple):
    """A method with a span; `counted` is the place of the argument whose length is told."""

    name: str
    owner: type
    method: str
    counted: int | None = None


WAITED_FOR = (
    Traced("reader", ReaderStore, "context"),
    Traced("index refresh", Catalogue, "_refresh"),
    Traced("profiles", Profiles, "fresh"),
    Traced("texts", ShownKBlocks, "of", 0),
    Traced("slate", SlateLedger, "enter"),
)
COMPUTED = (
    Traced("candidates", PersonalScorer, "candidates"),
    Traced("affinities", Affinities, "score_places", 1),
    Traced("features", Features, "matrix_at", 1),
    Traced("model", Model, "score", 0),
)


class Spans:
    """Makes spans with a tracer between `install` and `remove`."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._replaced: list[tuple[type, str, Method]] = []
        self._queued: dict[int, tuple[Span, Context]] = {}
        """What waits for its commit, by the identity of the list of its entries."""

    def install(self) -> None:
        """Wrap the methods, for all objects of this process."""
        for each in WAITED_FOR:
            self._wrap(each.owner, each.method, functools.partial(self._waited_for, each))
        for each in COMPUTED:
            self._wrap(each.owner, each.method, functools.partial(self._computed, each))
        self._wrap(GroupCommit, "submit", self._queue)
        self._wrap(GroupCommit, "_commit_group", self._commit)
        self._wrap(Database, "execute_alone", self._statement)
        self._wrap(Database, "transaction", self._transaction)

    def remove(self) -> None:
        """Put the methods back."""
        while self._replaced:
            owner, name, method = self._replaced.pop()
            setattr(owner, name, method)

    def _wrap(self, owner: type, name: str, wrapper: Callable[[Method], Method]) -> None:
        method = vars(owner)[name]
        self._replaced.append((owner, name, method))
        setattr(owner, name, functools.wraps(method)(wrapper(method)))

    @contextmanager
    def _span(self, name: str, **attributes: Any) -> Iterator[None]:
        with self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                failed(span, error)
                raise

    def _waited_for(self, what: Traced, method: Method) -> Method:
        async def waited_for(self_: Any, *given: Any, **named: Any) -> Any:
            if not trace.get_current_span().is_recording():
                return await method(self_, *given, **named)
            with self._span(what.name, **_counted(what, given)):
                return await method(self_, *given, **named)

        return waited_for

    def _computed(self, what: Traced, method: Method) -> Method:
        def computed(self_: Any, *given: Any, **named: Any) -> Any:
            if not trace.get_current_span().is_recording():
                return method(self_, *given, **named)
            with self._span(what.name, **_counted(what, given)):
                return method(self_, *given, **named)

        return computed

    def _queue(self, submit: Method) -> Method:
        async def queued(commits: GroupCommit, entries: list[Any]) -> Any:
            request = trace.get_current_span()
            if not request.is_recording():
                return await submit(commits, entries)
            waiting = self._tracer.start_span("queue", attributes={EVENTS: len(entries)})
            self._queued[id(entries)] = waiting, trace.set_span_in_context(request)
            try:
                return await submit(commits, entries)
            finally:
                if self._queued.pop(id(entries), None):  # refused, or given up
                    waiting.end()

        return queued

    def _commit(self, commit: Method) -> Method:
        async def committed(commits: GroupCommit, group: Sequence[Any], writer: int) -> None:
            spans = self._begin_commits(group)
            # The task that commits has the context of the request that began it, which may be
            # another one's. What happens within the transaction is told once, in the first trace.
            first = trace.set_span_in_context(spans[0] if spans else INVALID_SPAN, Context())
            token = attach(first)
            try:
                await commit(commits, group, writer)
            finally:
                detach(token)
                for each in spans:
                    each.end()

        return committed

    def _begin_commits(self, group: Sequence[Any]) -> list[Span]:
        """End the waiting of a group; return a span for each of its sampled requests."""
        if not self._queued:
            return []
        spans: list[Span] = []
        events = sum(len(each.entries) for each in group)
        for each in group:
            if found := self._queued.pop(id(each.entries), None):
                waiting, request = found
                waiting.end()
                links = [Link(spans[0].get_span_context())] if spans else None
                spans.append(
                    self._tracer.start_span("commit", request, attributes={EVENTS: events},
                                            links=links)
                )  # fmt: skip
        return spans

    def _statement(self, execute: Method) -> Method:
        async def executed(
            database: Database, statement: Any, parameters: Any, kind: Kind = Kind.READ
        ) -> Any:
            if not trace.get_current_span().is_recording():
                return await execute(database, statement, parameters, kind)
            async with self._in_database(database, kind):
                return await execute(database, statement, parameters, kind)

        return executed

    def _transaction(self, transaction: Method) -> Method:
        @asynccontextmanager
        async def ran(database: Database, kind: Kind) -> AsyncIterator[Any]:
            if not trace.get_current_span().is_recording():
                async with transaction(database, kind) as connection:
                    yield connection
                return
            async with self._in_database(database, kind), transaction(database, kind) as connection:
                yield connection

        return ran

    @asynccontextmanager
    async def _in_database(self, database: Database, kind: Kind) -> AsyncIterator[None]:
        # Not made the current span: a stream may be closed in another context than it began in.
        span = self._tracer.start_span(
            f"database {kind.name.lower().replace('_', ' ')}",
            kind=SpanKind.CLIENT,
            attributes={
                "db.system.name": "postgresql" if database.is_postgresql else "sqlite",
                "db.operation.name": kind.name,
            },
        )
        try:
            yield
        except BaseException as error:
            failed(span, error)
            raise
        finally:
            span.end()


def failed(span: Span, error: BaseException) -> None:
    """Note in a span that it ended with an error, by its class alone."""
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(Status(StatusCode.ERROR))


def _counted(what: Traced, given: Sequence[Any]) -> dict[str, int]:
    if what.counted is None or len(given) <= what.counted:
        return {}
    return {KBLOCKS: len(given[what.counted])}
