"""The metrics of one process, by prometheus-client; of all processes where they share a folder.

A folder is shared if `PROMETHEUS_MULTIPROC_DIR` named one when prometheus-client was imported. Then
each process keeps its counters in files there, and whichever is asked answers with the sums.

Metrics of HTTP have the names, labels and buckets of OpenTelemetry's semantic conventions. No label
has the id of a reader, a K-Block or a request: routes are templates.

Requests are counted some at a time, at the latest when somebody asks; with several processes, each
does so once a second.

Events are counted by the database, so that all processes report the same, and a restart loses
nothing.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, NamedTuple, cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

import harken
from harken.protocols.http.route_rules import route_of
from harken.protocols.telemetry.process import ProcessFigures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# The buckets that OpenTelemetry recommends for http.server.request.duration, in seconds.
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15)
STANDBY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
GROUP_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000)
Mode = Literal["livesum", "livemax", "livemin"]
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "_OTHER"
MOST_ENDED = 100
"""So many requests are counted together: one by one, each costs several times as much."""


# What a process knows of itself: the text, and how those of several processes become one.
OWN: dict[str, tuple[str, Mode]] = {
    "harken_queue_events": ("Events that wait for their commit.", "livesum"),
    "harken_kblocks": ("K-Blocks in the index.", "livemax"),
    # A process that is asked for no page does not read: the freshest one tells.
    "harken_index_age_seconds": (
        "Since the index last read what other processes wrote.", "livemin",
    ),
}  # fmt: skip


class Figures(NamedTuple):
    """What the services and the database say when they are asked; None for what is not known.

    interactions: the recorded events by action.
    model_age_seconds: since the model in service was trained; None without one.
    """

    queue_events: int
    kblocks: int
    index_age_seconds: float
    interactions: dict[str, int] | None = None
    model_age_seconds: float | None = None


class ServiceMetrics:
    """Counts what happens in this process, and writes it as Prometheus reads it."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self.is_shared = _is_shared()
        """Whether other processes count in the same folder."""
        self._process = ProcessFigures(self._registry) if self.is_shared else None
        if not self.is_shared:
            for collector in (ProcessCollector, PlatformCollector, GCCollector):
                collector(registry=self._registry)
        build = Gauge(
            "harken_build_info", "The version.", ["version"], multiprocess_mode="livemax",
            registry=self._registry,
        )  # fmt: skip
        build.labels(harken.__version__).set(1)
        self._active = Gauge(
            "http_server_active_requests",
            "Requests that are being answered.",
            ["http_request_method"],
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._own = {
            name: Gauge(name, text, multiprocess_mode=mode, registry=self._registry)
            for name, (text, mode) in OWN.items()
        }
        self._seconds = Histogram(
            "http_server_request_duration_seconds",
            "Time from the headers of a request to the end of its answer.",
            ["http_request_method", "http_route", "http_response_status_code"],
            buckets=REQUEST_SECONDS,
            registry=self._registry,
        )
        self._running = dict.fromkeys((*sorted(KNOWN_METHODS), OTHER), 0)
        self._ended: list[tuple[str, str, int, float]] = []
        # Finding them by their labels takes as long as counting.
        self._active_by = cache(self._active.labels)
        self._seconds_by = cache(self._seconds.labels)
        self._commits = Histogram(
            "harken_commit_duration_seconds",
            "Time of a transaction that records events, retries included.",
            buckets=COMMIT_SECONDS,
            registry=self._registry,
        )
        self._groups = Histogram(
            "harken_commit_events",
            "Events of one transaction.",
            buckets=GROUP_SIZES,
            registry=self._registry,
        )
        self._failures = Counter(
            "harken_commit_failures",
            "Transactions that recorded nothing.",
            registry=self._registry,
        )
        self._standby_waits = Histogram(
            "harken_standby_wait_duration_seconds",
            "Time until a standby knew what the primary knew, or the primary answered the read.",
            ["outcome"],
            buckets=STANDBY_SECONDS,
            registry=self._registry,
        )

    def began(self, method: str) -> None:
        """Count a request that is being answered."""
        self._running[method if method in KNOWN_METHODS else OTHER] += 1

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count the end of a request."""
        self._running[method if method in KNOWN_METHODS else OTHER] -= 1
        self._ended.append((method, path, status, seconds))
        if len(self._ended) >= MOST_ENDED:
            self._settle()

    def _settle(self) -> None:
        """Count the requests that have ended, by the templates of their paths."""
        ended, self._ended = self._ended, []
        for method, path, status, seconds in ended:
            self._seconds_by(known_method(method), route_of(method, path), status).observe(seconds)
        for method, count in self._running.items():
            self._active_by(method).set(count)

    def committed(self, events: int, seconds: float, *, is_recorded: bool) -> None:
        """Count a transaction that recorded events, or failed to."""
        self._commits.observe(seconds)
        self._groups.observe(events)
        if not is_recorded:
            self._failures.inc()

    def waited_for_standby(self, seconds: float, *, is_served: bool) -> None:
        """Count a read that a standby answered, or the primary in its place."""
        self._standby_waits.labels("standby" if is_served else "primary").observe(seconds)

    def sample(self, figures: Figures) -> None:
        """Note what this process says of itself, for those who ask another one."""
        self._settle()
        self._own["harken_queue_events"].set(figures.queue_events)
        self._own["harken_kblocks"].set(figures.kblocks)
        self._own["harken_index_age_seconds"].set(figures.index_age_seconds)
        if self._process is not None:
            self._process.take()

    def text(self, figures: Figures) -> bytes:
        """Return all metrics, with these figures."""
        self.sample(figures)
        asked = CollectorRegistry(auto_describe=False)
        asked.register(_FiguresCollector(figures))
        counted = self._registry
        if self.is_shared:
            counted = CollectorRegistry(auto_describe=False)
            cast("Any", MultiProcessCollector)(counted)
        return generate_latest(counted) + generate_latest(asked)


def _is_shared() -> bool:
    return values.ValueClass is not values.MutexValue


class _FiguresCollector(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        found = self._figures
        gauges = {
            "harken_model_age_seconds": (
                "Since the model in service was trained.", found.model_age_seconds,
            ),
            "harken_database_up": (
                "Whether the database answered.", int(found.interactions is not None),
            ),
        }  # fmt: skip
        for name, (text, value) in gauges.items():
            if value is not None:
                yield GaugeMetricFamily(name, text, value)
        if found.interactions is not None:
            counted = CounterMetricFamily(
                "harken_interactions", "Events of the whole database.", labels=["action"]
            )
            for action, count in found.interactions.items():
                counted.add_metric([action], count)
            yield counted


def known_method(method: str) -> str:
    """Return a method of HTTP, or `_OTHER`: anything may be sent, and each label costs memory."""
    return method if method in KNOWN_METHODS else OTHER
