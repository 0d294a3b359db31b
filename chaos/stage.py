"""The system that faults happen to: a Kafka and a MariaDB of its own, with users and rights as `make run` has them,
two instances of each service, and a proxy before each server that all services go through."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql
from confluent_kafka.admin import AdminClient

from chaos.disk import SmallDisk
from chaos.injections import Injections
from chaos.instances import Instance
from chaos.progress import ProgressRecord, TopicPartition
from chaos.proxy import Proxy
from chaos.record import Record, silent
from chaos.tables import TableWatch
from local import commands
from local.kafka import ADMIN_PASSWORD, Kafka
from local.mariadb import MariaDB
from local.paths import ROOT
from local.server import HOST, Server, free_port
from tools.kit import stack

TOPICS = ("checkout", "order", "fulfillment")
SERVICES = (*TOPICS, "analytics")
SLOTS = ("0", "1")
PARTITIONS = 6
PLACES = {
    **{topic: [TopicPartition(topic, number) for number in range(PARTITIONS)] for topic in TOPICS},
    "analytics": [TopicPartition(topic, number) for topic in TOPICS for number in range(PARTITIONS)],
}
WITH_USERS = {"allow.everyone.if.no.acl.found": "false"}
REPLY = 20.0
HELD = 15_000
"""Records that an entity may hold back; five minutes of this load. An order whose fulfillment went with a
recreated topic holds back all that follows, which is read again at each restore."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Load:
    """How busy the shop is."""

    rate: float = 300.0
    speed: float = 0.4
    conversion: float = 0.25

    @property
    def settings(self) -> dict[str, str]:
        return {
            "CHECKOUT_RATE": str(self.rate),
            "SPEED": str(self.speed),
            "CONVERSION": str(self.conversion),
            "HOLD_LIMIT": str(HELD),
        }


class Stage:
    """Everything that a fault may touch. ``start`` brings it up and ``close`` ends it."""

    def __init__(self, home: Path, load: Load, say: Say, *, small_disks: bool = False) -> None:
        self.home, self.load, self.say = home, load, say
        self.disks = {name: SmallDisk(home / name) for name in ("kafka", "mariadb") if small_disks}
        self.kafka: Kafka = stack.new_kafka(home, properties=WITH_USERS, java=())
        self.mariadb: MariaDB = stack.new_mariadb(home / "mariadb")
        inside = free_port()
        self.to_kafka = Proxy(free_port(), inside)
        self.to_mariadb = Proxy(free_port(), self.mariadb.port)
        _advertise(self.kafka, inside, self.to_kafka.port)
        self.injections = Injections()
        self.progress = ProgressRecord(PLACES)
        self.record = Record(self.kafka.bootstrap, PARTITIONS, self.injections, self.progress)
        self.tables = TableWatch(self.mariadb.port, self.progress)
        self.instances: dict[tuple[str, str], Instance] = {}
        """By service and slot, those that were started last."""
        self.everyone: list[Instance] = []
        self.idle: list[pymysql.Connection[pymysql.cursors.Cursor]] = []
        """Sessions of readers who have gone to lunch."""

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def start(self) -> None:
        """Returns when topics, users, tables and rights are there and the services are being started."""
        self.logs.mkdir(parents=True)
        for disk in self.disks.values():
            disk.mount()
        for server in self.servers.values():
            server.prepare()
        for server in self.servers.values():
            server.start()
        self.mariadb.wait_ready()
        self.kafka.wait_ready()
        with ThreadPoolExecutor() as pool:
            tables = pool.submit(self.mariadb.apply, ROOT / "sql")
            commands.run([ROOT / "init-kafka.sh"], ROOT, "create topics, users and rights", self.say, environment={
                "BOOTSTRAP": self.kafka.login, "PARTITIONS": str(PARTITIONS),
            })  # fmt: skip
            tables.result()
        self.to_kafka.start()
        self.to_mariadb.start()
        self.record.start()
        self.tables.start()
        for service in SERVICES:
            for slot in SLOTS:
                self.join(service, slot)

    @property
    def servers(self) -> dict[str, Server]:
        return {"kafka": self.kafka, "mariadb": self.mariadb}

    def join(self, service: str, slot: str, *, key: str = "") -> Instance:
        """A further instance, which is started again whenever it ends; known by ``key`` in place of its slot."""
        instance = Instance(service, slot, self.environment, self.logs)
        self.instances[service, key or slot] = instance
        self.everyone.append(instance)
        instance.settings = self.load.settings
        instance.start()
        return instance

    @property
    def environment(self) -> dict[str, str]:
        """The settings shared by all services."""
        parts = (".", "shared", *SERVICES)
        return {
            "KAFKA_BOOTSTRAP": f"[{HOST}]:{self.to_kafka.port}",
            "MARIADB_HOST": HOST,
            "MARIADB_PORT": str(self.to_mariadb.port),
            "HTTP_PORT": "0",
            "LOG_FORMAT": "json",
            "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in parts),
        }

    def admin(self) -> AdminClient:
        """As the user who may do everything, past the proxy."""
        return AdminClient(
            {
                "bootstrap.servers": self.kafka.login,
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "PLAIN",
                "sasl.username": "admin",
                "sasl.password": os.environ.get("KAFKA_ADMIN_PASSWORD") or ADMIN_PASSWORD,
            },
            logger=silent,
        )

    def bring_back(self, server: Server) -> None:
        """Starts a server that is down; returns when it answers."""
        server.start()
        server.wait_ready()

    def end_load(self) -> None:
        """Opens no more checkouts; what was opened goes on."""
        for (service, _), instance in self.instances.items():
            if service == "checkout":
                instance.settings = self.load.settings | {"CHECKOUT_RATE": "0"}
                instance.send(signal.SIGTERM)

    def audit(self, expectations: Path) -> "subprocess.CompletedProcess[str]":
        """What the auditor says of the settled shop, with what was injected expected."""
        return subprocess.run(
            [sys.executable, "-m", "analytics_service.audit", "--settled", "--expect", str(expectations)],
            cwd=ROOT / "analytics",
            env=os.environ
            | self.environment
            | {"KAFKA_BOOTSTRAP": self.kafka.login, "MARIADB_PORT": str(self.mariadb.port), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )

    def close(self) -> None:
        ending = [threading.Thread(target=one.end) for one in self.everyone]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()
        self.record.close()
        self.tables.close()
        for session in self.idle:
            with contextlib.suppress(pymysql.MySQLError):
                session.close()
        self.to_kafka.close()
        self.to_mariadb.close()
        for server in self.servers.values():
            server.stop()
        for disk in self.disks.values():
            disk.unmount()


@contextmanager
def staged(home: Path, load: Load, say: Say, *, small_disks: bool) -> Iterator[Stage]:
    """A stage that is up, and ends however the block ends."""
    stage = Stage(home, load, say, small_disks=small_disks)
    try:
        stage.start()
        yield stage
    finally:
        stage.close()


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Waits for a condition; whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _advertise(kafka: Kafka, inside: int, outside: int) -> None:
    """A further listener for the services, whose address is the proxy's: clients connect to what a broker says its
    address is, whatever they were told first."""
    everybody, controller, login, internal = (f"[{HOST}]:{port}" for port in kafka.ports)
    clients = f"OPEN://{everybody},LOGIN://{login},INTERNAL://{internal},HOSTLOGIN://[{HOST}]:"
    kafka.properties |= {
        "listeners": f"{clients}{inside},CONTROLLER://{controller}",
        "advertised.listeners": f"{clients}{outside}",
    }
