"""`harken consume` in a process of its own, which can be killed and started again."""

from tests.support.forking import Forked, forks
from tests.support.server import HarkenServer


class Consumer(HarkenServer):
    """Consumes a stream: `with Consumer(database_url, "nats://…") as consumer: ...`."""

    def __init__(self, database_url: str, stream_url: str, *options: str) -> None:
        super().__init__(database_url)
        self._arguments = ("consume", stream_url, "--create", *options)
        self._started = 0

    def start(self) -> None:
        """Start the process, and return when it has begun to consume."""
        self._started += 1
        super().start()

    def _run(self, *_arguments: str) -> Forked:
        return forks().run(
            self._arguments, self._environment, self._folder, self._folder / "output"
        )

    def _answers(self) -> bool:
        return self.output.count("Consuming ") == self._started
