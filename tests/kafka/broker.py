"""A real Kafka of one node, as a child of the tests: started, killed, stopped, and started again on the
same port with the same data. Everything here blocks; call it from a coroutine by ``asyncio.to_thread``.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import time
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.kafka.install import JARS, java
from tests.ports import free_port

_READY_TIMEOUT_S = 90.0

_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
log.dirs={data}/log
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=4194304
"""


class KafkaBroker:
    """Its addresses stay the same for its life, over any number of starts."""

    def __init__(self, data: Path, *, heap_mib: int = 512) -> None:
        self.data = data
        self.port, self._controller_port = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._heap_mib = heap_mib
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float = _READY_TIMEOUT_S) -> None:
        """Returns when it answers. Raises :class:`RuntimeError` with the end of its log."""
        if self._process is not None:
            raise RuntimeError("the broker was started already")
        if not (self.data / "server.properties").exists():
            self._format()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", "server.properties"),
                cwd=self.data,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # Its end of the pipe closes with this process, however that ends; no broker is left behind.
        self._guard = subprocess.Popen(
            ["sh", "-c", f"cat > /dev/null; kill -9 {self._process.pid}"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        deadline = time.monotonic() + timeout_s
        while not (self._listens() and asyncio.run(self._answers())):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
                raise RuntimeError(f"Kafka did not start:\n{tail}")
            time.sleep(0.2)

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In order. Idempotent."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """After :meth:`kill` or :meth:`stop`, or instead of both."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Its sockets stay open, and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def _log(self) -> Path:
        return self.data / "broker.log"

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the broker is not running")
        return self._process

    def _end(self, number: signal.Signals) -> None:
        process, guard, self._process, self._guard = self._process, self._guard, None, None
        if guard is not None:
            guard.kill()
            guard.communicate()
        if process is not None:
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)  # A stopped process hears nothing else.
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _format(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "server.properties").write_text(
            _PROPERTIES.format(
                port=self.port, controller_port=self._controller_port, data=self.data.absolute()
            )
        )
        cluster = "casinoClubTestsKafka00"  # 16 bytes in base64, as the format wants it
        tool = self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", "server.properties")
        subprocess.run(tool, cwd=self.data, check=True, capture_output=True)

    def _java(self, *arguments: str) -> list[str]:
        options = [f"-Xmx{self._heap_mib}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        logging = [
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
        ]
        return [java(), *options, *logging, "-cp", f"{JARS}/*", *arguments]

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    async def _answers(self) -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=2000)
        try:
            async with asyncio.timeout(5):
                await admin.start()
                return bool((await admin.describe_cluster())["brokers"])
        except (KafkaError, OSError, TimeoutError):
            return False
        finally:
            await admin.close()
