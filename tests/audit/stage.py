"""A real shop for the auditor to judge: topics by a plain producer, rows by the real analytics service."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from analytics_service.audit import AuditSettings, Coordinates, Report, audit
from local.binaries import ROOT
from local.kafka import Kafka
from local.mariadb import MariaDB
from shop.contract.events import Event, serialize
from shop.contract.lifecycle import TOPICS
from tests.audit.world import World
from tools.kit import databases
from tools.kit.shop import Service, wait_until

PARTITIONS = 3
TopicPartition = tuple[str, int, int]


class Stage:
    """Topics and databases of one test's own. Numbers name families, as in ``World``."""

    def __init__(self, kafka: Kafka, mariadb: MariaDB, folder: Path, name: str) -> None:
        self.world = World(partitions=PARTITIONS)
        self.names = databases.create(mariadb, name)
        self.mariadb = mariadb
        self.folder = folder
        self.settings = AuditSettings(
            kafka_bootstrap=kafka.bootstrap,
            kafka_user="",
            namespace=f"{name}.",
            mariadb_port=mariadb.port,
            mariadb_database=self.names.analytics,
            fulfillment_database=self.names.fulfillment,
        )
        self.admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        self.create(*TOPICS)
        self._producer = ck.Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 0})
        self._service: Service | None = None
        self.transactional = ck.Producer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "transactional.id": f"{name}.stage",
                "transaction.timeout.ms": 10_000,
            }
        )

    # ---- topics ----------------------------------------------------------------------------------------------

    def create(self, *topics: str) -> None:
        config = {"message.timestamp.type": "LogAppendTime"}
        new = [NewTopic(self.settings.namespace + topic, PARTITIONS, 1, config=config) for topic in topics]
        for future in self.admin.create_topics(new).values():
            future.result(10)
        wait_until(lambda: self.topic_ids().keys() >= set(topics), f"topics {topics}")

    def delete(self, *topics: str) -> None:
        for future in self.admin.delete_topics([self.settings.namespace + topic for topic in topics]).values():
            future.result(10)
        wait_until(lambda: not self.topic_ids().keys() & set(topics), f"the end of topics {topics}")

    def forget(self, *topic_partitions: TopicPartition) -> None:
        """Removes what lies before these messages from their partitions, as retention does."""
        before = [
            ck.TopicPartition(self.settings.namespace + topic, part, offset)
            for topic, part, offset in topic_partitions
        ]
        for future in self.admin.delete_records(before).values():
            future.result(10)

    def topic_ids(self) -> dict[str, str]:
        ids = {}
        names = ck.TopicCollection([self.settings.namespace + topic for topic in TOPICS])
        for topic, future in self.admin.describe_topics(names).items():
            with suppress(ck.KafkaException):
                ids[topic.removeprefix(self.settings.namespace)] = str(future.result(10).topic_id)
        return ids

    # ---- what happens ----------------------------------------------------------------------------------------

    def live(self, number: int, *statuses: StrEnum, partition: int | None = None) -> list[TopicPartition]:
        """Publishes these events of the family of that number, one after the other; returns where they are."""
        where = number % PARTITIONS if partition is None else partition
        return [self.publish(self.world.event(number, status), where) for status in statuses]

    def publish(self, event: Event, partition: int) -> TopicPartition:
        topic_partition = self.append(event.topic, partition, event.key.encode(), serialize(event))
        self.world.publish(event, partition)
        return topic_partition

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> TopicPartition:
        topic_partitions: list[TopicPartition] = []

        def delivered(error: ck.KafkaError | None, message: ck.Message) -> None:
            assert error is None, error
            topic_partitions.append((topic, partition, int(message.offset() or 0)))

        self._producer.produce(self.settings.namespace + topic, value, key, partition, on_delivery=delivered)
        assert self._producer.flush(10) == 0
        return topic_partitions[0]

    def begin(self, number: int, *statuses: StrEnum) -> None:
        """Publishes events in a transaction that stays open."""
        self.transactional.init_transactions(10)
        self.transactional.begin_transaction()
        for status in statuses:
            event = self.world.event(number, status)
            self.transactional.produce(
                self.settings.namespace + event.topic, serialize(event), event.key, number % PARTITIONS
            )
        assert self.transactional.flush(10) == 0

    # ---- the databases -----------------------------------------------------------------------------------------

    def store(self) -> None:
        """Lets the real service store everything, and ends it; fulfillment's table follows."""
        command = [sys.executable, str(ROOT / "analytics" / "main.py")]
        self._service = Service(command, self.folder, self.environment(), self.folder / "analytics.log")
        wait_until(self._is_stored, "everything to be stored")
        assert self._service.stop() == 0
        self.project()

    def project(self) -> None:
        """Writes what the fulfillment service would have written."""
        rows = ", ".join(
            f"('{row.fulfillment_id}', '{row.order_id}', '{row.status}', "
            f"'{row.created_at:%F %T.%f}', '{row.updated_at:%F %T.%f}')"
            for row in self.world.table.values()
        )
        if rows:
            self.sql(f"REPLACE INTO {self.names.fulfillment}.fulfillment VALUES {rows}")

    def sql(self, statement: str) -> None:
        """Runs a statement as root in the database of analytics."""
        self.mariadb.execute(f"USE {self.names.analytics}; {statement}")

    def _is_stored(self) -> bool:
        return all(not note.startswith("analytics has not come to") for note in self.audit().notes)

    # ---- the verdict -------------------------------------------------------------------------------------------

    def audit(
        self, *expect: Coordinates, settled: bool = False, say: Callable[[str], None] = lambda _: None
    ) -> Report:
        return audit(self.settings, settled=settled, expect=expect, say=say)

    def broken(self, *, settled: bool = True) -> dict[str, list[tuple[str, int | None, int | None]]]:
        """Which rules are broken, and where."""
        report = self.audit(settled=settled)
        return {
            rule: [one.coordinates[1:] for one in finding.violations]
            for rule, finding in report.findings.items()
            if finding.violations
        }

    def environment(self) -> dict[str, str]:
        """The settings of a process on this stage."""
        return os.environ | {
            "KAFKA_BOOTSTRAP": self.settings.kafka_bootstrap,
            "KAFKA_USER": "",
            "HTTP_PORT": "0",
            "NAMESPACE": self.settings.namespace,
            "MARIADB_PORT": str(self.settings.mariadb_port),
            "MARIADB_DATABASE": self.names.analytics,
            "FULFILLMENT_DATABASE": self.names.fulfillment,
            "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in (".", "shared", "analytics")),
        }

    def command(self, *options: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Runs the auditor as people do."""
        return subprocess.run(
            [sys.executable, "-m", "analytics_service.audit", *options],
            cwd=self.folder,
            env=self.environment() | settings,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def close(self) -> None:
        if self._service is not None:
            self._service.stop()
        self.delete(*self.topic_ids())
        self.names.drop(self.mariadb)
