"""The metrics of `harken consume`, as Prometheus reads them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

OUTCOMES = ("recorded", "duplicate", "erased", "dead_letter")


class StreamFigures:
    """Counts what became of messages."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._messages = Counter(
            "harken_stream_messages",
            "Messages by what became of them; those of erased readers are dropped.",
            ["outcome"],
            registry=self._registry,
        )
        self._failures = Counter(
            "harken_stream_failures",
            "Batches that were not recorded, and are delivered again.",
            registry=self._registry,
        )
        self._lag = Gauge(
            "harken_stream_lag_messages",
            "Messages of the stream that are not acknowledged yet; -1 if the broker does not say.",
            registry=self._registry,
        )
        self._by = {name: self._messages.labels(name) for name in OUTCOMES}
        self.counts = dict.fromkeys(OUTCOMES, 0)

    def count(self, outcome: str, number: int) -> None:
        """Count messages with one of `OUTCOMES`."""
        self.counts[outcome] += number
        self._by[outcome].inc(number)

    def failed(self) -> None:
        """Count a batch that is delivered again."""
        self._failures.inc()

    def waiting(self, messages: int | None) -> None:
        """Note how many messages wait; None if it is not known."""
        self._lag.set(-1 if messages is None else messages)

    def serve(self, host: str, port: int) -> int:
        """Answer Prometheus on a port until the process ends; returns the port.

        Raises OSError.
        """
        server, _ = start_http_server(port, host, self._registry)
        return int(server.server_port)
