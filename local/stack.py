"""Kafka and MariaDB with the shop's topics and tables: what `run` and `up` have in common, and up, down, status."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from local import background, commands, passwords, programs
from local.binaries import Binaries
from local.cluster import Cluster
from local.cluster import Ports as KafkaPorts
from local.commands import Say
from local.errors import Refusal
from local.files import require_room
from local.kafka import Kafka
from local.locks import claim_stack
from local.mariadb import MariaDB
from local.paths import HOME, ROOT
from local.server import HOST, Server, require_free

BETWEEN_BROKERS = 100
"""From the ports of one broker to those of the next: 9092, 9192, 9292. From 9101 on they are the services'."""


@dataclass(frozen=True)
class Size:
    """How much of everything there is, and where its data lies."""

    brokers: int
    heap_mb: int
    """Of each broker."""
    instances: int
    """Of each service."""
    data: Path


AT_FIRST_MB, AT_WORK_MB = 300, 50
"""What must be free on the disk: MariaDB's files alone are 140 MB at first."""

SINGLE = Size(brokers=1, heap_mb=512, instances=1, data=HOME / "data")
CLUSTER = Size(brokers=3, heap_mb=384, instances=2, data=HOME / "data" / "cluster")


@dataclass(frozen=True)
class Layout:
    """What listens where: the brokers of a cluster, and MariaDB at a port."""

    size: Size
    cluster: Cluster
    mariadb: int

    @classmethod
    def from_environment(cls, size: Size) -> "Layout":
        """By KAFKA_PORT, of the first broker, and MARIADB_PORT. Raises Refusal where they are no ports."""
        # The three ports after a broker's first one are its own, too.
        beyond = (size.brokers - 1) * BETWEEN_BROKERS + len(KafkaPorts._fields) - 1
        return cls.at(size, _port("KAFKA_PORT", 9092, 65_535 - beyond), _port("MARIADB_PORT", 3306, 65_535))

    @classmethod
    def at(cls, size: Size, kafka: int, mariadb: int) -> "Layout":
        """With the first broker's first port, and MariaDB's."""
        ports = [KafkaPorts.of(kafka + number * BETWEEN_BROKERS) for number in range(size.brokers)]
        return cls(size, Cluster.at(size.data, ports), mariadb)

    @property
    def first_ports(self) -> dict[str, int]:
        """The port of each server that clients come to without a name, or at all."""
        return {node.name: node.ports.everybody for node in self.cluster.nodes} | {"mariadb": self.mariadb}

    def require_free(self) -> None:
        """Raise Refusal where somebody else listens on one of the ports."""
        for node in self.cluster.nodes:
            for port in node.ports:
                require_free(port, node.name, Kafka.setting)
        require_free(self.mariadb, "mariadb", MariaDB.setting)

    def for_services(self) -> dict[str, str]:
        """What tells a service where the servers are."""
        return {
            "KAFKA_BOOTSTRAP": self.cluster.login,
            "MARIADB_HOST": HOST,
            "MARIADB_PORT": str(self.mariadb),
        }

    def __str__(self) -> str:
        return f"Kafka at {self.cluster.bootstrap.replace(',', ', ')}, MariaDB at [{HOST}]:{self.mariadb}"


class Servers(NamedTuple):
    """The servers of this checkout."""

    brokers: list[Kafka]
    mariadb: MariaDB

    @property
    def all(self) -> list[Server]:
        """Every one, the brokers first."""
        return [*self.brokers, self.mariadb]


def servers(binaries: Binaries, layout: Layout) -> Servers:
    """The servers of a layout, not started yet."""
    size, log = layout.size, HOME / "log"
    brokers = [
        Kafka(binaries, layout.cluster, node, heap_mb=size.heap_mb, log=log / f"{node.name}.log")
        for node in layout.cluster.nodes
    ]
    return Servers(brokers, MariaDB(binaries, size.data / "mariadb", layout.mariadb, log=log / "mariadb.log"))


def prepare(servers: Servers) -> None:
    """Make the data directories that are not there, at the same time. Raises Refusal where that fails."""
    made = all(server.home.is_dir() for server in servers.all)
    require_room(HOME / "data", AT_WORK_MB if made else AT_FIRST_MB)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda server: server.prepare(), servers.all))


def set_up(layout: Layout, servers: Servers, say: Say) -> None:
    """Wait for all, and make the topics and the tables that are missing. Raises Refusal where that fails."""
    with commands.together() as pool:
        topics = pool.submit(_make_topics, layout, say)
        servers.mariadb.wait_ready()
        servers.mariadb.apply(ROOT / "sql", say)
        servers.mariadb.load_time_zones(say)
        for broker in servers.brokers:
            broker.wait_ready()
        topics.result()


def up(say: Say) -> None:
    """Start one broker and the database in the background, and return when topics and tables are there."""
    with claim_stack("up"):
        layout = Layout.from_environment(SINGLE)
        passwords.require_typeable()
        if background.running():
            raise Refusal("Kafka and MariaDB are up already: use them, or end them with make down.")
        layout.require_free()
        both = servers(programs.ready(say), layout)
        began = time.monotonic()
        try:
            prepare(both)
            for server in both.all:
                server.start(outlive=True)
                background.remember(server.name, server.pid, server.port)
            set_up(layout, both, say)
        except BaseException:
            background.end_all(say)
            raise
        say(f"ready after {time.monotonic() - began:.1f} s: {layout}; make down ends both")


def down(say: Say) -> None:
    """End what `up` started."""
    with claim_stack("down"):
        if not background.end_all(say):
            say("nothing is up")


def status(say: Say) -> None:
    """Say what `up` started and still runs."""
    for process in background.running().values():
        say(f"{process.name} is up: port {process.port}, process {process.pid}")


def _make_topics(layout: Layout, say: Say) -> None:
    replication = {} if layout.size.brokers == 1 else {"REPLICATION": str(layout.size.brokers)}
    commands.run(
        ["bash", "-p", "init-kafka.sh"],
        ROOT,
        "create the topics",
        say,
        environment={"BOOTSTRAP": layout.cluster.login, "KAFKA_BIN": "local/bin", **replication},
        tell_all=True,
    )


def _port(name: str, default: int, last: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or not 0 < int(value) <= last:
        raise Refusal(f"{name} is {value!r} and must be a port: a whole number from 1 to {last}.")
    return int(value)
