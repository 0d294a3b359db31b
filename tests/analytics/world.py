"""One test's output topics and database, the service on them, and the truth about what must be stored."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import confluent_kafka as ck
from sqlalchemy import URL, Engine, NullPool, create_engine, text

from analytics_service.stored import LogPartition
from local.binaries import ROOT
from shop.contract.events import Event, parse
from shop.contract.lifecycle import TOPICS
from shop.runtime.log import TopicPartition
from tools.kit.business import TopicContents
from tools.kit.rebuild import rebuild

MAIN = ROOT / "analytics" / "main.py"
TIMEOUT_SECONDS = 30.0


def wait(condition: Callable[[], object], what: str, timeout: float = TIMEOUT_SECONDS) -> None:
    """Returns when the condition holds; fails when it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout} s for: {what}"
        time.sleep(0.05)


@dataclass
class Service:
    """A running analytics process."""

    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        return self.log.read_text()

    def says(self, words: str) -> bool:
        return words in self.output()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, timeout: float = TIMEOUT_SECONDS) -> int:
        """The exit code; waits for the end."""
        return self.process.wait(timeout)

    def stop(self) -> None:
        """Ends it as a supervisor would; it must take less than 5 s and end well."""
        self.signal(signal.SIGTERM)
        assert self.ended(5) == 0, self.output()


@dataclass
class Shop:
    """What a test works on. ``expected`` grows with each publish."""

    bootstrap: str
    mariadb_port: int
    database: str
    namespace: str
    folder: Path
    topics: TopicContents
    root: Engine
    services: list[Service] = field(default_factory=list)

    def settings(self, **own: object) -> dict[str, str]:
        """The environment of a process of this shop."""
        base = {
            "KAFKA_BOOTSTRAP": self.bootstrap,
            "KAFKA_USER": "",
            "HTTP_PORT": "0",
            "MARIADB_PORT": self.mariadb_port,
            "MARIADB_DATABASE": self.database,
            "NAMESPACE": self.namespace,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "analytics", ROOT / "shared"))),
            "KPI_EVERY": 3600,
        }
        return {name: str(value) for name, value in (base | own).items()}

    def start(self, *arguments: str, module: str = "", **settings: object) -> Service:
        """Starts the service, or a module that wraps it."""
        log = self.folder / f"service-{len(self.services)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *(["-m", module] if module else [str(MAIN)]), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=os.environ | self.settings(**settings),
            )
        service = Service(process, log)
        self.services.append(service)
        return service

    def run(self, module: str, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
        """Runs one of the commands to its end."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=os.environ | self.settings(**settings),
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def engine(self, user: str = "user") -> Engine:
        return create_engine(
            URL.create(
                "mysql+pymysql", user, f"{user}pw", "::1", self.mariadb_port, self.database, {"charset": "utf8mb4"}
            ),
            # Nobody disposes of it, so it keeps no connection.
            poolclass=NullPool,
        )

    def count(self, *tables: str) -> int:
        """Rows in the tables together; in those of facts and dead letters when none is named."""
        with self.engine().connect() as connection:
            return sum(
                int(connection.execute(text(f"SELECT COUNT(*) FROM `{table}`")).scalar_one())
                for table in tables or (*TOPICS, "dead_letter")
            )

    def wait_for(self, messages: int, timeout: float = TIMEOUT_SECONDS) -> None:
        """Waits until so many messages are stored, and no more."""
        wait(lambda: self.count() >= messages, f"{messages} stored messages", timeout)
        assert self.count() == messages

    def messages(self) -> dict[tuple[TopicPartition, int], ck.Message]:
        """Every committed message of the topics."""
        consumer = ck.Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": f"{self.namespace}truth",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        known = consumer.list_topics(timeout=10).topics
        topic_partitions = [
            TopicPartition(self.namespace + topic, number)
            for topic in TOPICS
            for number in known[self.namespace + topic].partitions
        ]
        consumer.assign(
            [ck.TopicPartition(*topic_partition, ck.OFFSET_BEGINNING) for topic_partition in topic_partitions]
        )
        found: dict[tuple[TopicPartition, int], ck.Message] = {}
        open_places = set(topic_partitions)
        while open_places:
            message = consumer.poll(10)
            assert message is not None
            topic_partition = TopicPartition(str(message.topic()), int(message.partition() or 0))
            if message.error() is None:
                found[topic_partition, int(message.offset() or 0)] = message
            elif message.error().code() == ck.KafkaError._PARTITION_EOF:  # type: ignore[union-attr]
                open_places.discard(topic_partition)
        consumer.close()
        return found

    def verify(self) -> None:
        """Every message is stored exactly once, as it is; and nothing else is."""
        stored = self._stored()
        letters = self._dead_letters()
        messages = self.messages()
        assert not stored.keys() & letters.keys()
        assert stored.keys() | letters.keys() == messages.keys()
        for at, event in stored.items():
            value = messages[at].value()
            assert event == parse(at[0].topic[len(self.namespace) :], value), at
        for at, (key, value) in letters.items():
            assert (messages[at].key(), messages[at].value()) == (key, value), at

    def _logs(self) -> dict[int, str]:
        """The present life of each topic, by log id."""
        with self.engine().connect() as connection:
            rows = connection.execute(text("SELECT topic, MAX(log_id) AS log_id FROM kafka_log GROUP BY topic"))
            return {row.log_id: row.topic for row in rows}

    def _stored(self) -> dict[tuple[TopicPartition, int], Event]:
        found: dict[tuple[TopicPartition, int], Event] = {}
        with self.engine().connect() as connection:
            for log_id, topic in self._logs().items():
                numbers = connection.execute(
                    text(f"SELECT DISTINCT kafka_partition FROM `{topic}` WHERE log_id = {log_id}")
                ).scalars()
                for number in numbers.all():
                    for offset, _, event in rebuild(connection, topic, LogPartition(log_id, number)):
                        found[TopicPartition(self.namespace + topic, number), offset] = event
        return found

    def _dead_letters(self) -> dict[tuple[TopicPartition, int], tuple[bytes | None, bytes | None]]:
        logs = self._logs()
        with self.engine().connect() as connection:
            rows = connection.execute(text("SELECT * FROM dead_letter")).all()
        return {
            (TopicPartition(self.namespace + logs[row.log_id], row.kafka_partition), row.kafka_offset): (
                row.message_key,
                row.message_value,
            )
            for row in rows
            if row.log_id in logs
        }
