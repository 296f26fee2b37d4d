"""Message brokers of the tests: NATS from a wheel, Kafka from Maven's artifacts, on free ports."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import nats
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import ConsumerConfig, DeliverPolicy

from tests.support.chromium import program
from tests.support.postgres import free_port

SUBJECT, DEAD_LETTERS = "feedback.events", "feedback.dead-letters"
START_SECONDS = 180
DOWNLOAD_SECONDS = 600
POLL_SECONDS = 0.02
QUIET_SECONDS = 2
"""A place for dead letters that gives none for so long has no more."""
AT_ONCE = 500
NATS = """
listen: 127.0.0.1:{port}
jetstream {{ store_dir: "{folder}/data", sync_interval: always }}
"""
KAFKA = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{other}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{other}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""
CLUSTER = "aGFya2VuLW9mLXRlc3RzMA"


class Broker(ABC):
    """A broker that can be killed and started again: `with NatsServer() as broker: ...`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="harken-broker-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process was started, and has not ended since."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.folder)

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for `harken consume`."""

    @abstractmethod
    async def publish(self, bodies: Sequence[bytes]) -> None:
        """Send messages; returns when the broker has stored them."""

    @abstractmethod
    async def dead_letters(self) -> list[tuple[bytes, str]]:
        """Return all dead letters, each with its reason."""

    @abstractmethod
    def _command(self) -> list[str]: ...

    def start(self) -> None:
        """Start the broker and return when it takes connections."""
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                self._command(), stdout=output, stderr=subprocess.STDOUT, cwd=self.folder
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._takes_connections():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "output").read_text("utf-8", "replace")[-2000:])
            time.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """End the broker as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def _takes_connections(self) -> bool:
        with closing(socket.socket()) as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0


class NatsServer(Broker):
    """NATS with JetStream, which writes each message to the disk before it acknowledges it."""

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        file = self.folder / "nats.conf"
        file.write_text(NATS.format(port=self.port, folder=self.folder), "utf-8")
        return [str(Path(sys.executable).with_name("nats-server")), "-c", str(file)]

    async def publish(self, bodies: Sequence[bytes]) -> None:
        client = await nats.connect(self.url)
        try:
            stream = client.jetstream()
            for start in range(0, len(bodies), AT_ONCE):
                part = bodies[start : start + AT_ONCE]
                await asyncio.gather(*(stream.publish(SUBJECT, body) for body in part))
        finally:
            await client.close()

    async def clear(self) -> None:
        """Delete all streams, and with them their consumers."""
        client = await nats.connect(self.url)
        try:
            for each in await client.jetstream().streams_info():
                await client.jetstream().delete_stream(each.config.name or "")
        finally:
            await client.close()

    async def dead_letters(self) -> list[tuple[bytes, str]]:
        client = await nats.connect(self.url)
        found: list[tuple[bytes, str]] = []
        try:
            reader = await client.jetstream().pull_subscribe(
                DEAD_LETTERS, config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
            )
            while True:
                for each in await reader.fetch(AT_ONCE, timeout=QUIET_SECONDS):
                    found.append((each.data, (each.headers or {})["harken-reason"]))
                    await each.ack()
        except NatsTimeout:
            return found
        finally:
            await client.close()


class KafkaServer(Broker):
    """A broker of Kafka that is its own controller (KRaft)."""

    def __init__(self) -> None:
        self._jars = kafka_jars()
        super().__init__()
        self._other = free_port()

    @property
    def url(self) -> str:
        return f"kafka://127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        file = self.folder / "server.properties"
        if not file.exists():
            file.write_text(
                KAFKA.format(port=self.port, other=self._other, folder=self.folder), "utf-8"
            )
            self._format(file)
        return [*self._java("kafka.Kafka"), str(file)]

    def _format(self, file: Path) -> None:
        tool = self._java("kafka.tools.StorageTool")
        options = ["format", "-t", CLUSTER, "-c", str(file), "--standalone"]
        subprocess.run([*tool, *options], check=True, capture_output=True, timeout=START_SECONDS)

    def _java(self, main: str) -> list[str]:
        # Compiled once and simply: these processes live for a minute.
        return [
            program("java"), "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-cp", f"{self._jars}/*", main,
        ]  # fmt: skip

    async def publish(self, bodies: Sequence[bytes]) -> None:
        async with AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{self.port}") as producer:
            sent = [await producer.send(SUBJECT, body) for body in bodies]
            await asyncio.gather(*sent)

    async def dead_letters(self) -> list[tuple[bytes, str]]:
        found: list[tuple[bytes, str]] = []
        async with AIOKafkaConsumer(
            DEAD_LETTERS,
            bootstrap_servers=f"127.0.0.1:{self.port}",
            auto_offset_reset="earliest",
        ) as consumer:
            while batches := await consumer.getmany(timeout_ms=QUIET_SECONDS * 1_000):
                found.extend(
                    (each.value, _reason(each)) for batch in batches.values() for each in batch
                )
        return found


def _reason(record: Any) -> str:
    return str(dict(record.headers)["harken-reason"].decode())


def kafka_jars() -> Path:
    """Return the folder of Kafka's jars, which Maven fetches once; skips where it cannot."""
    maven, _ = program("mvn"), program("java")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "harken-tests" / "kafka-4.3.1"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        project = Path(__file__).with_name("kafka.xml")
        fetched = subprocess.run(
            [
                maven, "--quiet", "--batch-mode", "--file", str(project),
                "dependency:copy-dependencies", "-DincludeScope=runtime",
                f"-DoutputDirectory={made}",
            ],
            capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False,
        )  # fmt: skip
        if fetched.returncode:
            shutil.rmtree(made)
            pytest.skip(f"Maven does not get Kafka: {fetched.stdout[-300:]}")
        made.rename(folder)
    return folder
