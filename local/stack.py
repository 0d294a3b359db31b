"""Kafka and MariaDB with the shop's topics and tables: what `run` and `up` have in common, and up, down, status."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from local import background, commands
from local.binaries import Binaries, ensure
from local.commands import Say
from local.errors import Refusal
from local.kafka import Kafka
from local.kafka import Ports as KafkaPorts
from local.locks import claim_stack
from local.mariadb import MariaDB
from local.paths import HOME, ROOT
from local.server import HOST, require_free

LAST_PORT = 65_535 - (len(KafkaPorts._fields) - 1)


@dataclass(frozen=True)
class Ports:
    """Where Kafka and MariaDB listen."""

    kafka: int
    mariadb: int

    @classmethod
    def from_environment(cls) -> "Ports":
        """KAFKA_PORT and MARIADB_PORT. Raises Refusal where they are no ports."""
        return cls(_port("KAFKA_PORT", 9092), _port("MARIADB_PORT", 3306))

    @property
    def of_kafka(self) -> KafkaPorts:
        """All four of Kafka's."""
        return KafkaPorts.of(self.kafka)

    def require_free(self) -> None:
        """Raise Refusal where somebody else listens on one of them."""
        for port in self.of_kafka:
            require_free(port, Kafka.name)
        require_free(self.mariadb, MariaDB.name)

    def for_services(self) -> dict[str, str]:
        """What tells a service where they are."""
        return {
            "KAFKA_BOOTSTRAP": f"[{HOST}]:{self.of_kafka.login}",
            "MARIADB_HOST": HOST,
            "MARIADB_PORT": str(self.mariadb),
        }

    def __str__(self) -> str:
        return f"Kafka at [{HOST}]:{self.kafka}, MariaDB at [{HOST}]:{self.mariadb}"


def servers(binaries: Binaries, ports: Ports) -> tuple[Kafka, MariaDB]:
    """The two servers of this checkout, not started yet."""
    data, log = HOME / "data", HOME / "log"
    return (
        Kafka(binaries, data / "kafka", ports.of_kafka, log=log / "kafka.log"),
        MariaDB(binaries, data / "mariadb", ports.mariadb, log=log / "mariadb.log"),
    )


def prepare(kafka: Kafka, mariadb: MariaDB) -> None:
    """Make both data directories where there are none, at the same time."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda server: server.prepare(), (kafka, mariadb)))


def set_up(kafka: Kafka, mariadb: MariaDB, say: Say) -> None:
    """Wait for both, and make the topics and the tables that are missing. Raises Refusal where that fails."""
    with commands.together() as pool:
        topics = pool.submit(_make_topics, kafka, say)
        mariadb.wait_ready()
        mariadb.apply(ROOT / "sql")
        kafka.wait_ready()
        topics.result()


def up(say: Say) -> None:
    """Start both in the background, and return when topics and tables are there."""
    with claim_stack("up"):
        ports = Ports.from_environment()
        if background.running():
            raise Refusal("Kafka and MariaDB are up already: use them, or end them with make down.")
        ports.require_free()
        kafka, mariadb = servers(ensure(say), ports)
        began = time.monotonic()
        try:
            prepare(kafka, mariadb)
            for server in (kafka, mariadb):
                server.start(outlive=True)
                background.remember(server.name, server.pid, server.port)
            set_up(kafka, mariadb, say)
        except BaseException:
            background.end_all(say)
            raise
        say(f"ready after {time.monotonic() - began:.1f} s: {ports}; make down ends both")


def down(say: Say) -> None:
    """End what `up` started."""
    with claim_stack("down"):
        if not background.end_all(say):
            say("nothing is up")


def status(say: Say) -> None:
    """Say what `up` started and still runs."""
    for process in background.running().values():
        say(f"{process.name} is up: port {process.port}, process {process.pid}")


def _make_topics(kafka: Kafka, say: Say) -> None:
    path = f"{ROOT / 'local' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    commands.run(
        [ROOT / "init-kafka.sh"],
        ROOT,
        "create the topics",
        say,
        environment={"BOOTSTRAP": kafka.login, "PATH": path},
        tell_all=True,
    )


def _port(name: str, default: int) -> int:
    value = os.environ.get(name) or str(default)
    # The three ports after Kafka's are its own, too.
    if not value.isdecimal() or not 0 < int(value) <= LAST_PORT:
        raise Refusal(f"{name} is {value!r} and must be a port: a whole number from 1 to {LAST_PORT}.")
    return int(value)
