"""A real Kafka and a real MariaDB for tests, on free ports, with their data under a folder of the caller's.

They end with the test process, however that ends. A port once chosen is kept over `stop`, `kill` and `start`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from local.cluster import Cluster, Ports
from local.kafka import Kafka
from local.mariadb import MariaDB
from local.server import free_port
from tools.kit import prepared
from tools.kit.prepared import binaries

SHORT_LIVED = ("-XX:TieredStopAtLevel=1",)
"""What Java is told for a broker that lives for minutes: the second compiler would not earn back what it costs."""


def new_kafka(
    home: Path,
    *,
    heap_mb: int = 512,
    properties: Mapping[str, object] | None = None,
    java: Sequence[str] = SHORT_LIVED,
) -> Kafka:
    """A Kafka that is not started yet. Who has no name may do everything, unless ACLs or ``properties`` say else."""
    (broker,) = new_brokers(new_cluster(home, 1), heap_mb=heap_mb, properties=properties, java=java)
    return broker


def new_cluster(home: Path, brokers: int = 3) -> Cluster:
    """A cluster of so many brokers, which are not made yet."""
    return Cluster.at(home, Ports.free(brokers))


def new_brokers(
    cluster: Cluster,
    *,
    heap_mb: int,
    properties: Mapping[str, object] | None = None,
    java: Sequence[str] = SHORT_LIVED,
) -> list[Kafka]:
    """The brokers of a cluster, not started yet, with the rights of ``new_kafka``."""
    told = {"allow.everyone.if.no.acl.found": "true", **(properties or {})}
    return [Kafka(binaries(), cluster, node, heap_mb=heap_mb, properties=told, java=java) for node in cluster.nodes]


def new_mariadb(home: Path, *, buffer_pool_mb: int = 256, options: Mapping[str, object] | None = None) -> MariaDB:
    """A MariaDB that is not started yet."""
    return MariaDB(binaries(), home, free_port(), buffer_pool_mb=buffer_pool_mb, options=options)


def start_mariadb(home: Path) -> MariaDB:
    """A MariaDB that is ready, with the tables, views and users of sql/."""
    prepared.copy_tables(home)
    mariadb = new_mariadb(home)
    mariadb.start()
    mariadb.wait_ready()
    return mariadb


def start_both(home: Path, *, java: Sequence[str] = SHORT_LIVED) -> tuple[Kafka, MariaDB]:
    """A Kafka without topics and a MariaDB with tables, both ready, in `home`/kafka and `home`/mariadb."""
    kafka = new_kafka(home, java=java)
    kafka.start()
    mariadb = start_mariadb(home / "mariadb")
    kafka.wait_ready()
    return kafka, mariadb
