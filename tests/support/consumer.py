"""`harken consume` in a process of its own, which can be killed and started again."""

from tests.support.server import HarkenServer


class Consumer(HarkenServer):
    """Consumes a stream: `with Consumer(database_url, "nats://…") as consumer: ...`."""

    def __init__(
        self, database_url: str, stream_url: str, *options: str, **environment: str
    ) -> None:
        super().__init__(database_url, **environment)
        self._command = ("consume", stream_url, "--create", *options)
        self._started = 0

    def start(self) -> None:
        """Start the process, and return when it has begun to consume."""
        self._started += 1
        super().start()

    @property
    def _arguments(self) -> tuple[str, ...]:
        return self._command

    def _answers(self) -> bool:
        return self.output.count("Consuming ") == self._started


class ConsumerProgram(Consumer):
    """A `Consumer` that starts as from a shell: a new program, with all its imports."""

    is_fork = False
