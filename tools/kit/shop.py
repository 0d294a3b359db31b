"""The whole system of one test: real service processes under names of their own on the session's servers."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import confluent_kafka as ck
import pytest

from local.binaries import ROOT
from local.cluster import Cluster
from local.kafka import Kafka
from local.mariadb import MariaDB
from shop.contract.events import parse
from shop.contract.lifecycle import TOPICS
from tools.kit import databases
from tools.kit.invariants import wrongs
from tools.kit.real_world import RealWorld
from tools.kit.world import PARTITIONS

TIMEOUT = 60.0
SERVICES = ("checkout", "order", "fulfillment", "analytics")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = TIMEOUT) -> None:
    """Waits for a condition; fails the test when it does not hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited in vain for {what}")
        time.sleep(0.05)


class Service:
    """A running service; what it prints is in ``log``."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._seen = 0

    def lines(self) -> list[dict[str, object]]:
        """The log lines so far."""
        text = self.log.read_text(errors="replace")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def has_logged(self, event: str) -> bool:
        return any(str(line.get("event", "")).startswith(event) for line in self.lines())

    def until_logged(self, event: str) -> None:
        wait_until(lambda: self.has_logged(event), f"{event!r} in {self.log}")

    def until_prints(self, text: str) -> None:
        wait_until(lambda: text in self.log.read_text(errors="replace"), f"{text!r} in {self.log}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def until_dead(self) -> int:
        wait_until(lambda: self.process.poll() is not None, f"the end of {self.log.name}")
        return self.process.returncode

    def sentence(self) -> str:
        """The one sentence that it ended with: something that only a person can mend."""
        assert self.until_dead() == 2
        text = self.log.read_text()
        assert "Traceback" not in text
        last = text.strip().splitlines()[-1]
        assert last.startswith("error: ")
        return last

    def stop(self) -> int:
        """SIGTERM; the exit code, which must come within 5 s."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                pytest.fail(f"{self.log} did not end on SIGTERM")
        return self.process.returncode


class Shop:
    def __init__(
        self,
        kafka: Kafka | Cluster,
        mariadb: MariaDB,
        folder: Path,
        *,
        speed: float = 40.0,
        rate: float = 40.0,
        partitions: int = PARTITIONS,
    ) -> None:
        self.mariadb, self.folder = mariadb, folder
        self.world = RealWorld(kafka.bootstrap, partitions)
        self.databases = databases.create(mariadb, uuid.uuid4().hex[:8])
        self.services: dict[tuple[str, str], Service] = {}
        self.environment = os.environ | {
            "KAFKA_BOOTSTRAP": kafka.bootstrap,
            "KAFKA_USER": "",
            "HTTP_PORT": "0",
            # Its question for the lag is under way when the broker ends.
            "KPI_EVERY": "1",
            "NAMESPACE": self.world.namespace,
            "MARIADB_HOST": "::1",
            "MARIADB_PORT": str(mariadb.port),
            "LOG_FORMAT": "json",
            "SPEED": str(speed),
            "CHECKOUT_RATE": str(rate),
            "CONVERSION": "0.5",
            "CUSTOMERS": "50",
            "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in (".", "shared", *SERVICES)),
        }

    def database_of(self, service: str) -> str:
        return self.databases.fulfillment if service == "fulfillment" else self.databases.analytics

    def start(self, service: str, slot: str = "0", *, fault: list[str] | None = None, **settings: str) -> Service:
        """Starts a service; with ``fault`` (arguments of tests.faults.faulty_service) it stops at a point."""
        environment = self.environment | {"INSTANCE": slot, "MARIADB_DATABASE": self.database_of(service)} | settings
        program = ["-m", "tests.faults.faulty_service", service, *fault] if fault else ["main.py"]
        number = sum(name.stem.startswith(f"{service}-{slot}") for name in self.folder.glob("*.log"))
        log = self.folder / f"{service}-{slot}-{number}.log"
        started = Service([sys.executable, *program], ROOT / service, environment, log)
        self.services[service, slot] = started
        return started

    def start_all(self) -> None:
        for service in SERVICES:
            self.start(service)

    def statuses(self, topic: str) -> Counter[str]:
        return Counter(str(parse(topic, record.value).status) for record in self.world.records(topic))

    def until_completed(self, more: int) -> None:
        """Waits until ``more`` orders than now are COMPLETED: the whole way works."""
        wanted = self.statuses("order")["COMPLETED"] + more
        wait_until(lambda: self.statuses("order")["COMPLETED"] >= wanted, f"{wanted} completed orders")

    def recreate_topics(self) -> None:
        """Deletes all topics and recreates them."""
        before = self._topic_ids()
        for topic in TOPICS:
            self.world.recreate(topic)
        # A broker's own view of the topics may be behind that of the controller.
        wait_until(lambda: len(self._topic_ids() - before) == len(TOPICS), "the broker to know the new topics")

    def _topic_ids(self) -> set[str]:
        names = [self.world.namespace + topic for topic in TOPICS]
        answers = self.world.admin.describe_topics(ck.TopicCollection(names))
        return {str(answer.result().topic_id) for answer in answers.values() if answer.exception(10) is None}

    def settle(self, whole: bool = True) -> None:
        """Opens no more checkouts and waits until nothing is in flight, in the topics and the databases. Not
        ``whole``: the topics do not hold the beginning of everything, so only the auditor can tell what is wrong."""
        self.services["checkout", "0"].stop()
        self.start("checkout", CHECKOUT_RATE="0").until_logged("caught up")
        quiet: list[int] = []

        def settled() -> bool:
            records = [self.world.records(topic) for topic in TOPICS]
            quiet.append(sum(map(len, records)))
            return (
                len(quiet) > 6
                and len(set(quiet[-6:])) == 1
                and not (whole and wrongs(*records))
                and self.stored() == quiet[-1]
            )

        try:
            wait_until(settled, "the shop to settle")
        except BaseException:
            records = [self.world.records(topic) for topic in TOPICS]
            print(f"not settled: {quiet[-3:]} records, {self.stored()} stored, wrong: {wrongs(*records)[:5]}")
            print(self.world.positions())
            raise

    def stored(self) -> int:
        """Messages in the analytics database, of the present life of each topic."""
        name = self.databases.analytics
        present = f"log_id IN (SELECT MAX(log_id) FROM {name}.kafka_log GROUP BY topic)"
        tables = ("checkout", "`order`", "fulfillment", "dead_letter")
        counts = " + ".join(f"(SELECT COUNT(*) FROM {name}.{table} WHERE {present})" for table in tables)
        return int(self.mariadb.execute(f"SELECT {counts} AS messages").split()[-1])

    def audit(self, *options: str) -> "subprocess.CompletedProcess[str]":
        environment = self.environment | {
            "MARIADB_DATABASE": self.databases.analytics,
            "FULFILLMENT_DATABASE": self.databases.fulfillment,
        }
        return subprocess.run(
            [sys.executable, "-m", "analytics_service.audit", *options],
            cwd=ROOT / "analytics",
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def must_be_clean(self, whole: bool = True) -> None:
        """Settles the shop and lets the auditor judge it."""
        self.settle(whole)
        audited = self.audit("--settled")
        assert audited.returncode == 0, audited.stdout + audited.stderr

    def close(self) -> None:
        for service in self.services.values():
            service.stop()
        self.world.close()
        self.databases.drop(self.mariadb)
