"""What the operating system says of a process, for a server of several processes: their sums."""

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.process_collector import ProcessCollector

GAUGES = {
    "process_resident_memory_bytes": "Resident memory of all processes, in bytes.",
    "process_open_fds": "Open files of all processes.",
}
CPU = "process_cpu_seconds_total"


class ProcessFigures:
    """The memory, open files and processor time of this process, as its part of the sums."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._source = ProcessCollector(registry=CollectorRegistry())
        self._gauges = {
            name: Gauge(name, text, multiprocess_mode="livesum", registry=registry)
            for name, text in GAUGES.items()
        }
        text = "Processor time of all processes, in seconds."
        self._cpu = Counter(CPU.removesuffix("_total"), text, registry=registry)
        self._cpu_before = 0.0
        workers = Gauge(
            "harken_workers", "Processes that serve.", multiprocess_mode="livesum",
            registry=registry,
        )  # fmt: skip
        workers.set(1)

    def take(self) -> None:
        """Note the present figures."""
        for family in self._source.collect():
            for sample in family.samples:
                if sample.name in self._gauges:
                    self._gauges[sample.name].set(sample.value)
                elif sample.name == CPU:
                    self._cpu.inc(max(0.0, sample.value - self._cpu_before))
                    self._cpu_before = sample.value
